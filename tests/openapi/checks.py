"""What schemathesis is told about this API: which ids exist, and checks of our own."""

import ipaddress
import itertools
import os

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection

GROUPS = int(os.environ["OPENAPI_TEST_GROUPS"])
KEYS = int(os.environ["OPENAPI_TEST_KEYS"])
SECRETS = os.environ["OPENAPI_TEST_SECRETS"].split()
# Deleted one after the other, so that the first ones stay.
GROUPS_TO_DELETE = range(GROUPS // 2 + 1, GROUPS + 1)


def is_positive(case):
    return case.meta is not None and not case.meta.generation.mode.is_negative


def among(number, existing):
    """One of the ids that exist, for nearly every number; some stay as they are and lead nowhere."""
    is_id = isinstance(number, int) and not isinstance(number, bool) and number > 0
    return existing[number % len(existing)] if is_id and number % 8 else number


def in_integer_notation(value):
    """JSON schema takes 3.0 for an integer; the API, like the original, wants 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [in_integer_notation(item) for item in value]
    if isinstance(value, dict):
        return {name: in_integer_notation(member) for name, member in value.items()}
    return value


addresses = itertools.count(0x0A000000)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Sends what makes sense to things that exist, so that more than `not found` is tried."""
    # Wrong keys are counted by address, and some are tried with every operation.
    case.headers = {**(case.headers or {}), "X-Forwarded-For": str(ipaddress.ip_address(next(addresses)))}
    if not is_positive(case):
        return
    groups = range(1, GROUPS // 2 + 1)
    name = case.operation.definition.raw.get("operationId")
    if case.path_parameters and "id" in case.path_parameters:
        kept = range(1, KEYS + 1) if case.operation.path.startswith("/api/keys/") else groups
        existing = GROUPS_TO_DELETE if name == "delete_group" else kept
        case.path_parameters["id"] = among(case.path_parameters["id"], existing)
    if case.query and "group_id" in case.query:
        case.query["group_id"] = among(case.query["group_id"], groups)
    if isinstance(case.body, dict):
        case.body = in_integer_notation(case.body)
        if "group_id" in case.body:
            case.body["group_id"] = among(case.body["group_id"], groups)


@schemathesis.check
def what_makes_sense_is_understood(context, response, case):
    """Rules may refuse what the schema allows, but it is never misread."""
    if is_positive(case) and response.status_code == 400:
        assert response.json().get("code") != "INVALID_JSON", response.text


@schemathesis.check
def nonsense_is_refused(context, response, case):
    """What the schema forbids is refused. But a parameter without a value counts as not given, and a page that cannot be
    is put right, as the original does."""
    query = case.query or {}
    is_forgiven = any(value == "" for value in query.values()) or query.keys() & {"page", "page_size"}
    return None if is_forgiven else negative_data_rejection(context, response, case)


@schemathesis.check
def no_error_shows_a_secret(context, response, case):
    if response.status_code >= 400:
        shown = [secret for secret in SECRETS if secret in response.text]
        assert not shown, f"{len(shown)} secrets are shown"
