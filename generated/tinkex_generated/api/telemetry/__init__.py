# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag telemetry, in one module each.

list_telemetry
send_telemetry
"""
