"""The ground floor: what every other package stands on. Imports nothing of Signet but itself.

errors      what may go wrong, each with its code
vocabulary  words and bounds that several packages share
decision    decisions and their reasons
client      a registered caller
ports       what the outside must promise
canonical   canonical JSON (RFC 8785)
target      the one spelling of a request target that both sides sign
encoding    base64 in its one encoding
instants    instants, days, identifiers that hold a time
clocks      how much time has passed, by two clocks
records     records that are made for every decision

Nothing is imported here: a function loads only the modules that it uses.
"""
