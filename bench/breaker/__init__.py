"""The breaker against its peers, in a simulator: the same faults, the same requests, the shipped code.

scenarios   what goes wrong, and the stream of requests, from a seed
simulation  requests, a fleet of breakers, a protected system with queue; what came of it
fleet       our breaker: environments, caches, flushes, a table
peers       resilience4j, Hystrix, adaptive throttling, by their documented semantics
libraries   the real pybreaker and the real Powertools breaker, driven directly
runs        many runs, on all cores, and their figures
properties  the eight properties, each figure beside its target and the best peer
pictures    state, shed share and latency over time
"""
