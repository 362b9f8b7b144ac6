# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag runs, in one module each.

list_training_runs
get_training_run
"""
