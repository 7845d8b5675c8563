"""The reference TLS edge: terminates TLS 1.3, attests channel and target, relays to API Gateway.

It does in readable Python what ``haproxy.cfg`` beside this package does in configuration; both pass one test
suite. It is what the embedded stack starts where there is no HAProxy. Production runs HAProxy.

    settings    environment → Settings                     (pure)
    attestation one request on one connection → the field  (pure)
    fields      which header fields travel on              (pure)
    tls         a TLS 1.3 server side as an asyncio stream
    relay       one HTTP/1.1 connection: request by request, streaming both ways
    server      accepts, limits, stops
"""
