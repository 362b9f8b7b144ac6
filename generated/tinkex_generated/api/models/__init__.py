# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag models, in one module each.

create_model
get_info
unload_model
"""
