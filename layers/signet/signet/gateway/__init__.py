"""API Gateway's events and answers: the one place that knows their shapes.

An event is decoded once, into an ``InboundRequest``; nothing past this package sees an event.

model      what an event says of a request, in one form for every payload
inbound    builds that form of what a decoder has read
rest_v1    REST APIs
http_v1    HTTP APIs, payload 1.0
http_v2    HTTP APIs, payload 2.0
emulators  where emulators of REST APIs differ from AWS
proxy      events of functions behind the authorizer
responses  answers of authorizers
maps       maps of header fields and queries, as payloads 1.0 have them
paths      which part of a path is the API's own

Which payload an authorizer is sent is a setting of its API; nothing is guessed from the event. Nothing is
imported here: a function loads only the modules that it uses.
"""
