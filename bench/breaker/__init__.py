"""The breaker against its peers, in a simulator: the same faults, the same requests, the shipped code.

plan        what a scenario is made of
faults      faults of one system; some seeds of these served to choose the breaker's numbers
hardships   what a real API brings: backends, callers, caches, deploys, bursts, stores, clocks
scenarios   all of them by name, and their streams of requests, from a seed
systems     the protected systems: what becomes of a request that is let through
simulation  requests, a fleet of breakers, protected systems; what came of it
fleet       our breaker: environments, caches, flushes, a table
deployed    our breaker with its own keeper and reporter, on a store that can fail
keyed       a breaker for each backend, or for each client
peers       resilience4j, Hystrix, adaptive throttling, by their documented semantics
limiters    adaptive concurrency: Netflix's gradient2 and Envoy's gradient controller, ported
rates       limits on the rate that an authorizer could set: trials, not shipped
libraries   the real pybreaker and the real Powertools breaker, driven directly
runs        many runs, on all cores, and their figures
figures     results by breaker, scenario and fleet
properties  the eight properties, each figure beside its target and the best peer
targets     the same for the hardships
pictures    state, shed share and latency over time

One scenario by itself: ``python -m bench.breaker --only "poison client" --seed 7 --n 20 --breaker all``.
"""
