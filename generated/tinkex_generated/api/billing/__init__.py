# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag billing, in one module each.

get_audit_log
get_billing_usage
get_checkpoint_storage_usage
"""
