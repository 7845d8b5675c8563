"""What a backend behind the authorizer adds, by the stack it runs on (docs/backends.md).

aws_proxy  Lambda functions: ``from signet.backend import guarded``
asgi       FastAPI, Starlette and others: ``from signet.backend.asgi import SignetGuard``
wsgi       Flask, Django and others: ``from signet.backend.wsgi import SignetGuard``
network    what the last two share
outcomes   reports to the breaker, on the side
"""

from signet.backend.aws_proxy import Answer, Handler, guarded, verified_body

__all__ = ["Answer", "Handler", "guarded", "verified_body"]
