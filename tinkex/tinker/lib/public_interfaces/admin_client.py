"""The client for usage and audit logs of an organization."""

from __future__ import annotations

from datetime import date, datetime

from tinkex.tinker import types
from tinkex.tinker._futures import APIFuture
from tinkex.tinker._twins import awaiting
from tinkex.tinker.lib.public_interfaces.rest_client import AuditEventType, RestCalls


class AdminClient(RestCalls):
    """Ask for usage and audit logs; the credential must be allowed to.

    >>> events = tinker.AdminClient().get_audit_log().result().entries
    """

    def get_billing_usage(
        self, starting_on: datetime | str, ending_before: datetime | str
    ) -> APIFuture[types.BillingUsageResponse]:
        """Return what was used in a span of time."""
        return self._billing_usage(starting_on, ending_before)

    def get_current_checkpoint_storage_usage(
        self, project_id: str | None = None
    ) -> APIFuture[types.CurrentCheckpointStorageUsageResponse]:
        """Return how much the checkpoints take now."""
        return self._storage_usage(project_id)

    def get_audit_log(
        self, event_type: AuditEventType = "all", day: date | None = None
    ) -> APIFuture[types.AuditLogResponse]:
        """Return what happened on a day."""
        return self._audit_log(event_type, day)

    get_billing_usage_async = awaiting(get_billing_usage)
    get_current_checkpoint_storage_usage_async = awaiting(get_current_checkpoint_storage_usage)
    get_audit_log_async = awaiting(get_audit_log)
