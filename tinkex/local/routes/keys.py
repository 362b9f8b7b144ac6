"""The key in use: its data, its exchange for a token, and its revocation."""

from tinkex_generated.models import (
    ApiKeyDetails,
    ApiKeyOrganization,
    ApiKeyUser,
    AuthTokenResponse,
    SelfApiKeyResponse,
)

from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.keys import NO_KEY


def auth_token(state: AppState, call: Call) -> AuthTokenResponse:
    """Exchange the key for a token, which this server takes in its place for an hour."""
    return AuthTokenResponse(jwt=state.keys.token(call.credential))


def get_own_api_key(state: AppState, call: Call) -> SelfApiKeyResponse:
    """Return the number of the key in use; keys have no names or owners here."""
    number = state.keys.number(call.credential)
    return SelfApiKeyResponse(
        key_id=number,
        name="none" if number == NO_KEY else f"key {number}",
        note="this local server accepts every client that can reach it" if number == NO_KEY else "",
        details=ApiKeyDetails(
            org_details=ApiKeyOrganization(name="local"),
            user_details=ApiKeyUser(email="nobody@localhost"),
        ),
    )


def delete_own_api_key(state: AppState, call: Call) -> None:
    """Refuse the presented key from now on."""
    number = state.keys.delete(call.credential)
    state.audit.add("api_key", "delete", key_id=number)


HANDLERS = {
    "auth_token": auth_token,
    "get_own_api_key": get_own_api_key,
    "delete_own_api_key": delete_own_api_key,
}
