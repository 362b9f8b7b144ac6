# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations of the API, in one package per tag."""
