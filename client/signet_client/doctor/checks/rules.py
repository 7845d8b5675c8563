"""Routes of the APIs and rules of the policy in force: neither without the other, and no binding in vain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from signet.core.vocabulary import METHOD_NAMES, BindingType
from signet.policy.routes import route_key
from signet_client.doctor.checks.guarding import guarded
from signet_client.doctor.facts import ANY, EDGE, PREFLIGHT, Api, Deployment, Finding, Method, Rule

#: Those of one API, by route.
Rules = dict[str, Rule]
_DEFAULT: Final = "$default"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Hold each API's routes and the policy's rules for it against each other, by the API's name."""
    if deployment.rules is None:
        return
    listed: dict[str, Rules] = {}
    for rule in deployment.rules:
        listed.setdefault(rule.api, {})[rule.route] = rule
    for api in deployment.apis:
        if not api.name:
            continue  # which is a finding of its own, or could not be seen
        rules = listed.get(api.name, {})
        for method in guarded(api, deployment) or ():
            if method.verb != PREFLIGHT:
                yield from _ruled(api, method, rules)
        yield from _used(api, rules)
        yield from _observed(api, deployment, rules)


def _where(api: Api) -> str:
    """Return where the routes of an API stand."""
    return "routes in config.json" if api.own else f"config.apis[{api.name!r}].routes"


def _ruled(api: Api, method: Method, listed: Rules) -> Iterator[Finding]:
    where = f"{api}, {method.route}"
    if method.path == _DEFAULT:
        yield Finding(
            "default_route",
            where,
            "it takes what no other route takes, and no rule can name that: it is refused as no_rule",
            "a route of its own for each path and method that shall pass, as in GET /orders",
        )
        return
    verbs = METHOD_NAMES if method.verb == ANY else (method.verb,)
    without = [verb for verb in verbs if f"{verb} {method.path}" not in listed]
    if method.verb == ANY and 0 < len(without) < len(verbs):
        named = [verb for verb in verbs if verb not in without]
        yield Finding(
            "any_method",
            where,
            f"the policy has rules for {', '.join(named)} only; other methods reach the authorizer and are "
            "refused as no_rule",
            f"the methods {', '.join(named)} one by one in place of ANY",
        )
    elif without:
        route = method.route if method.verb != ANY else f"GET {method.path}"
        yield Finding(
            "route_without_rule",
            where,
            "no rule of the policy names it: every request is refused as no_rule",
            f'"{route}": {{"role": "caller", "minimum_binding": "none"}} under {_where(api)}, then '
            "signet policy push",
        )


def _used(api: Api, listed: Rules) -> Iterator[Finding]:
    """Find rules for routes that the API does not have."""
    if api.methods is None:
        return
    there = {
        f"{verb} {method.path}"
        for method in api.methods
        for verb in (METHOD_NAMES if method.verb == ANY else (method.verb,))
    }
    for route in listed:
        if route not in there:
            yield Finding(
                "rule_without_route",
                f"policy, {route_key(api.name, route)}",
                f"{api} has no such route: it is misspelt, gone, or of another API",
                f"{route!r} taken out of {_where(api)}, then signet policy push",
            )


def _observed(api: Api, deployment: Deployment, listed: Rules) -> Iterator[Finding]:
    """Find bindings that nothing can observe: an edge sees the exporter, mutual TLS the certificate."""
    edge = deployment.parameters.get(EDGE)
    by_certificate = None if api.domains is None else any(domain.mutual_tls for domain in api.domains)
    for method in guarded(api, deployment) or ():
        for rule in _rules_of(method, listed):
            if rule.minimum_binding == BindingType.TLS_EXPORTER and edge == "":
                yield _in_vain(api, rule, f"no TLS edge stands in front ({EDGE} is empty)")
            if rule.minimum_binding == BindingType.TLS_CLIENT_CERT and by_certificate is False:
                yield _in_vain(api, rule, "no domain name with mutual TLS leads to it")


def _rules_of(method: Method, listed: Rules) -> list[Rule]:
    verbs = METHOD_NAMES if method.verb == ANY else (method.verb,)
    return [listed[route] for verb in verbs if (route := f"{verb} {method.path}") in listed]


def _in_vain(api: Api, rule: Rule, why: str) -> Finding:
    mend = (
        f"{EDGE}=ARN for the stack (edge/README.md)"
        if rule.minimum_binding == BindingType.TLS_EXPORTER
        else "MutualTlsAuthentication: {TruststoreUri: s3://…} on its domain name"
    )
    return Finding(
        "binding_not_observed",
        f"{api}, {rule.route}",
        f"the policy demands {rule.minimum_binding}, and {why}: every request is refused",
        f'{mend}; or "minimum_binding": "none" for this route under {_where(api)}, then signet policy push',
    )
