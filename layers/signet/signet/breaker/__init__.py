"""The breaker: what the protected system says decides how much reaches it. Pure; times are arguments.

config        every number, with its unit in its name
accumulators  what a reporter adds up between two flushes, and the increments a flush ADDs
estimator     what the sums of all reporters say: bad share and its bound, latency, load, waiting time
record        what all environments share, and what it is changed by
machine       closed → open → half open → closed, one conditional write per transition
judgement     what shedding cannot mend: a fault that load does not explain, silence
ramp          how far the ramp goes with one step, up or back
ladder        full → relax → classical → shed, one rung per dwell
admission     one request, admitted or shed by the last state read
firststep     the first step of a ramp as a count over the fleet
snapshot      where statistics lie in the store, and one read of them
additions     what is to be added to the store, each at most once
patient       a store that fails now and then, asked again where that may be
pace          how often a backend's environment stores outcomes
fleetclock    the time that a fleet shares, from the store's answers
reporter      outcomes on their way from a backend into the store
asked         what the verifier asks of a breaker, and one that knows nothing
transitions   the receipts of the machine's transitions
keeper        all of it at work in one environment of the authorizer
fault         the fault injector of a demonstration backend
"""
