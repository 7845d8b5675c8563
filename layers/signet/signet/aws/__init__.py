"""Adapters to DynamoDB, SQS, S3, Lambda, KMS and Secrets Manager: the only package that imports boto3.

``compose`` puts each function together from them.
"""
