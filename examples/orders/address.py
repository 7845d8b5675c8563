"""address.py STACK [id|authority]: where its orders are, on AWS or on an emulator (AWS_ENDPOINT_URL).

``id`` prints the API's id instead, ``authority`` the name (and port) it answers under: what is registered.
"""

import os
import sys
from urllib.parse import urlsplit

import boto3

stack = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"][0]
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
emulator = os.environ.get("AWS_ENDPOINT_URL")
url = f"{emulator}/_aws/execute-api/{outputs['ApiId']}/v1/orders" if emulator else outputs["OrdersUrl"]
wanted = sys.argv[2] if len(sys.argv) > 2 else "url"  # noqa: PLR2004 - behind the stack
print({"url": url, "id": outputs["ApiId"], "authority": urlsplit(url).netloc}[wanted])
