# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag training, in one module each.

forward_backward
forward
optim_step
create_custom_loss
forward_backward_binary
"""
