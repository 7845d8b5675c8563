"""Adapters to DynamoDB, SQS, S3 and Secrets Manager: the only package that imports boto3."""
