# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag service, in one module each.

healthz
get_server_capabilities
client_config
client_dynamic_config
upload_form
auth_token
get_own_api_key
delete_own_api_key
"""
