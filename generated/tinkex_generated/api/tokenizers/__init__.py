# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag tokenizers, in one module each.

get_tokenizer
"""
