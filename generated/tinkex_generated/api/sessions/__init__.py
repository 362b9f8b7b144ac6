# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The operations under the tag sessions, in one module each.

create_session
session_heartbeat
finish_session
create_sampling_session
join_sampling_session
list_sessions
get_session
search_sessions
assign_session_project
export_session_trace
download_session_trace
"""
