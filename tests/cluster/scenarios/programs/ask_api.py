"""Asks the API server with the token of the pod it runs in: JSON ``[[METHOD, PATH, BODY], …]`` on standard input.

Prints JSON: status and message of each answer.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
TYPES = {"PATCH": "application/merge-patch+json"}


def ask(context, token, method, path, body):
    headers = {"Authorization": f"Bearer {token}", "Content-Type": TYPES.get(method, "application/json")}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SERVER + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def main():
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    token = (ACCOUNT / "token").read_text()
    print(json.dumps([ask(context, token, *words) for words in json.load(sys.stdin)]))


main()
