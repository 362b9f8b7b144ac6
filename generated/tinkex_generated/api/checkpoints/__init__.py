# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag checkpoints, in one module each.

list_checkpoints
list_user_checkpoints
delete_checkpoint
get_checkpoint_archive_url
get_sampler_archive_url
get_external_weights_urls
publish_checkpoint
unpublish_checkpoint
set_checkpoint_ttl
download_checkpoint_archive
download_external_weights
"""
