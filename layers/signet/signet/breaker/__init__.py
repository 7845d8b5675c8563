"""The breaker: what the protected system says decides how much reaches it. Pure; times are arguments.

config     every number, with its unit in its name
tally      what a reporter adds up between two flushes, and the increments a flush ADDs
estimator  what the sums of all reporters say: bad share and its bound, latency, load, waiting time
machine    closed → open → half open → closed, one conditional write per transition
ladder     full → relax → classical → shed, one rung per dwell
admission  one request, judged by the last state read
"""
