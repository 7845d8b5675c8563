"""deployed.py STACK challenges|settled: what attach.sh asks of Signet's stack.

``challenges`` prints where challenges of the orders API are. ``settled`` waits until no receipt is in the
queue: one that comes after a day was closed is of the next day.
"""

import sys
import time

import boto3

COUNTS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
stack = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"][0]
outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
if sys.argv[2] == "challenges":
    print(f"{outputs['ChallengeUrl']}?api=orders")
else:
    sqs, url = boto3.client("sqs"), outputs["ReceiptQueueUrl"]
    deadline = time.monotonic() + 600
    while any(
        int(n) for n in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=COUNTS)["Attributes"].values()
    ):
        if time.monotonic() > deadline:
            sys.exit("receipts are still in the queue: look into the sink's log")
        time.sleep(0.2)
