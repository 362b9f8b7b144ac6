# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag weights, in one module each.

save_weights
save_weights_for_sampler
save_weights_external
load_weights
copy_weights
weights_info
"""
