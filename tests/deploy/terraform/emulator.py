"""An AWS to apply and destroy against: moto, with what it leaves out of access control put in.

moto enforces identity policies by action and resource, but takes every condition it does not know for met, never asks a
bucket's policy about TLS, hands a role to every web identity, and answers 404 for an absent object to those who may not
list. Those are what the module's policies are about, so they are evaluated here. Further, requests by signed URL fail
once policies count, and a bucket that had versions cannot be emptied: both are mended. What ElastiCache lacks is in
emulator_elasticache.py.

Every decision about S3 goes to the audit file as a line `ALLOW|DENY ACTION RESOURCE`.

Listens on 127.0.0.1 only: `emulator.py TLS_PORT PLAIN_PORT CERTIFICATE KEY AUDIT_FILE`.
"""

import base64
import copy
import fnmatch
import json
import sys
import threading
import urllib.parse

import flask
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam import access_control
from moto.iam.access_control import IAMPolicy, IAMPolicyStatement, PermissionResult
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.exceptions import BucketAccessDeniedError
from moto.core.exceptions import ServiceException
from moto.iam.models import iam_backends
from moto.s3.models import FakeDeleteMarker, S3Backend, s3_backends
from moto.sts.responses import TokenResponse
from werkzeug.serving import make_server

import emulator_elasticache

HOST = "127.0.0.1"


def context() -> dict[str, str]:
    """The condition keys of the request at hand."""
    request = flask.request
    found = {"aws:SecureTransport": str(request.is_secure).lower()}
    if request.is_secure:
        found["s3:TlsVersion"] = "1.3"
    # Only requests that list have a prefix.
    if "prefix" in request.args:
        found["s3:prefix"] = request.args["prefix"]
    return found


def is_match(operator: str, wanted: str, actual: str) -> bool:
    match operator:
        case "StringEquals" | "ArnEquals":
            return actual == wanted
        case "StringNotEquals":
            return actual != wanted
        case "StringLike":
            return fnmatch.fnmatchcase(actual, wanted)
        case "Bool":
            return actual.lower() == wanted.lower()
        case "NumericLessThan":
            return float(actual) < float(wanted)
    raise NotImplementedError(f"the emulator does not know {operator}")


def conditions_hold(conditions: dict[str, dict[str, str | list[str]]], have: dict[str, str]) -> bool:
    for operator, keys in conditions.items():
        plain = operator.removesuffix("IfExists")
        for key, wanted in keys.items():
            if key not in have:
                if plain == operator and not plain.startswith("StringNot"):
                    return False
                continue
            values = wanted if isinstance(wanted, list) else [wanted]
            test = all if plain.startswith("StringNot") else any
            if not test(is_match(plain, value, have[key]) for value in values):
                return False
    return True


def is_action_permitted(self, action, resource="*", principal=None, incoming_condition_values=None):
    """A statement whose conditions do not hold says nothing; one that matches says what its effect is."""
    statement = self._statement
    # Trust policies come without a resource; their conditions are moto's to judge.
    if not statement.get("Resource"):
        return plain_is_action_permitted(self, action, resource, principal, incoming_condition_values)
    concerns = self._check_element_matches("Action", action) and self._check_element_matches("Resource", resource)
    if not concerns or not conditions_hold(statement.get("Condition", {}), context()):
        return PermissionResult.NEUTRAL
    return PermissionResult.PERMITTED if statement["Effect"] == "Allow" else PermissionResult.DENIED


plain_is_action_permitted = IAMPolicyStatement.is_action_permitted
IAMPolicyStatement.is_action_permitted = is_action_permitted

plain_authorize = ActionAuthenticatorMixin._authenticate_and_authorize_s3_action


def authorize_s3(self, bucket_name=None, key_name=None):
    if ActionAuthenticatorMixin.request_count < settings.INITIAL_NO_AUTH_ACTION_COUNT:
        return plain_authorize(self, bucket_name=bucket_name, key_name=key_name)
    resource = "/".join(filter(None, [bucket_name, key_name]))
    try:
        decide_s3(self, bucket_name, key_name)
    except Exception:
        audit("DENY", self, resource)
        raise
    audit("ALLOW", self, resource)
    return None


def audit(verdict: str, response, resource: str) -> None:
    with open(sys.argv[5], "a") as file:
        file.write(f"{verdict} s3:{response.data.get('Action')} {resource}\n")


def decide_s3(self, bucket_name: str | None, key_name: str | None) -> None:
    if "Authorization" not in self.headers and "X-Amz-Credential" in flask.request.args:
        as_header(self)
    plain_authorize(self, bucket_name=bucket_name, key_name=key_name)
    bucket = s3_backends[self.current_account][self.partition].buckets.get(bucket_name) if bucket_name else None
    if bucket is None:
        return
    action = f"s3:{self.data['Action']}"
    arn = f"arn:aws:s3:::{bucket_name}" + (f"/{key_name}" if key_name else "")
    if bucket.policy and IAMPolicy(bucket.policy.decode()).is_action_permitted(action, arn) == PermissionResult.DENIED:
        raise BucketAccessDeniedError(bucket=bucket_name)
    if action == "s3:GetObject" and key_name not in bucket.keys:
        # Whether it is not there is for those to know who may list.
        may_list = copy.copy(self)
        # moto looks for the action among the parameters, which it calls by two names.
        may_list.data = may_list.querystring = {**self.data, "Action": "ListBucket"}
        plain_authorize(may_list, bucket_name=bucket_name)
        audit("ALLOW", may_list, bucket_name)


def as_header(self) -> None:
    """A signed URL says the same as the headers of a signed request. moto does not check its signature."""
    query = flask.request.args
    scope, headers = query["X-Amz-Credential"], {**dict(self.headers)}
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=-"
    if "X-Amz-Security-Token" in query:
        headers["X-Amz-Security-Token"] = query["X-Amz-Security-Token"]
    self.headers = headers


ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = authorize_s3
plain_check_signature = access_control.S3IAMRequest.check_signature


def check_signature(self) -> None:
    if "Signature=-" not in self._headers["Authorization"]:
        plain_check_signature(self)


access_control.S3IAMRequest.check_signature = check_signature

class WebIdentityRefused(ServiceException):
    code = "AccessDenied"
    status = 403
    message = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


plain_web_identity = TokenResponse.assume_role_with_web_identity


def assume_role_with_web_identity(self):
    """Asks the role's trust policy about the claims of the token. Nobody signed it."""
    payload = self._get_param("WebIdentityToken").split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    issuer = claims["iss"].removeprefix("https://")
    have = {f"{issuer}:{name}": claims[name] for name in ("sub", "aud")}
    role = iam_backends[self.current_account][self.partition].get_role_by_arn(self._get_param("RoleArn"))
    for statement in json.loads(role.assume_role_policy_document)["Statement"]:
        provider = statement["Principal"].get("Federated", "")
        if provider.endswith(f":oidc-provider/{issuer}") and conditions_hold(statement["Condition"], have):
            return plain_web_identity(self)
    raise WebIdentityRefused


TokenResponse.assume_role_with_web_identity = assume_role_with_web_identity

plain_authorize_other = ActionAuthenticatorMixin._authenticate_and_authorize_normal_action


def authorize_other(self, resource="*"):
    # The token is its own proof; such a request is not signed.
    if self._get_action() != "AssumeRoleWithWebIdentity":
        plain_authorize_other(self, resource)


ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = authorize_other


# moto forgets that a key's last version may be a marker.
FakeDeleteMarker.dispose = lambda self: None
plain_delete_object = S3Backend.delete_object


def delete_object(self, bucket_name, key_name, version_id=None, bypass=False):
    """A named version is deleted alone, also where versioning was suspended, as Terraform does before it empties a bucket."""
    bucket = self.get_bucket(bucket_name)
    status = bucket.versioning_status
    if version_id is not None and status == "Suspended":
        bucket.versioning_status = "Enabled"
    try:
        return plain_delete_object(self, bucket_name, key_name, version_id=version_id, bypass=bypass)
    finally:
        bucket.versioning_status = status


S3Backend.delete_object = delete_object
plain_list_object_versions = S3Backend.list_object_versions


def list_object_versions(self, *arguments, **named):
    """Who asks for encoded keys decodes them, which turns a plain + into a space."""
    versions, folders, markers, *rest = plain_list_object_versions(self, *arguments, **named)
    if flask.request.args.get("encoding-type") == "url":
        versions, markers = [encoded(one) for one in versions], [encoded(one) for one in markers]
    return (versions, folders, markers, *rest)


def encoded(version):
    named = copy.copy(version)
    named.name = urllib.parse.quote(version.name)
    return named


S3Backend.list_object_versions = list_object_versions


def main() -> None:
    emulator_elasticache.extend()
    tls_port, plain_port, certificate, key, _audit = sys.argv[1:]
    app = DomainDispatcherApplication(create_backend_app)
    both = [
        make_server(HOST, int(plain_port), app, threaded=True, request_handler=MotoRequestHandler),
        make_server(
            HOST, int(tls_port), app, threaded=True, request_handler=MotoRequestHandler, ssl_context=(certificate, key)
        ),
    ]
    threading.Thread(target=both[0].serve_forever, daemon=True).start()
    print("ready", flush=True)
    both[1].serve_forever()


if __name__ == "__main__":
    main()
