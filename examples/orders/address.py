"""address.py STACK: print where its orders are, on AWS or on the emulator that AWS_ENDPOINT_URL names."""

import os
import sys

import boto3

stack = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"][0]
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
emulator = os.environ.get("AWS_ENDPOINT_URL")
if emulator:
    print(f"{emulator}/_aws/execute-api/{outputs['ApiId']}/v1/orders")
else:
    print(outputs["OrdersUrl"])
