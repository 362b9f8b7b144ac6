# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag futures, in one module each.

retrieve_future
retrieve_futures
cancel_future
retrieve_future_binary
"""
