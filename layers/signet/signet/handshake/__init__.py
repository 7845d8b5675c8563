"""PCH-Lite: challenge, proof, suites, registry, decision. Pure: no network, clock or environment."""
