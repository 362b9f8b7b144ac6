# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag sampling, in one module each.

asample
stream_sample
get_sampler
"""
