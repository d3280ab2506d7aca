"""Signing in and out."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from toril.web.answers import Json, ok
from toril.web.api_route import ApiRoute
from toril.web.auth.passwords import LONGEST
from toril.web.auth.principal import Principal
from toril.web.auth.sign_in import SignedIn
from toril.web.deps import CurrentUser, FromClient, Shared
from toril.web.queue_route import read_body, takes
from toril.web.schemas import Answer, Model, errors

router = APIRouter(prefix="/api/auth", tags=["sign-in"], route_class=ApiRoute)

_CREDENTIALS: Final = {"email": "sara@firm.example", "password": "correct horse battery staple"}
_CHANGE: Final = {
    "currentPassword": "correct horse battery staple",
    "newPassword": "five quiet palms beside the gate",
}

Password = Annotated[str, Field(min_length=1, max_length=LONGEST)]


class Credentials(Model):
    """Who signs in."""

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Password


class RefreshBody(Model):
    """The refresh token of the last answer."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class SignOutBody(Model):
    """Which sessions to end."""

    everywhere: Annotated[bool, Field(description="All of this user, on every device.")] = False


class PasswordBody(Model):
    """The old password and the new one."""

    current_password: Password
    new_password: Password


class UserView(Model):
    """A user, as they see themselves."""

    id: str
    email: str
    name: str
    role: Annotated[str, Field(examples=["admin", "lawyer", "staff"])]
    firm_id: str | None
    scopes: Annotated[list[str] | None, Field(description="Of the API key; null for a user.")]


class Tokens(Model):
    """What to send from now on, and until when."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - a name
    expires_in: Annotated[int, Field(description="Seconds the access token is good for.", examples=[900])]
    refresh_token: Annotated[str, Field(description="Good once: each answer brings another.")]
    user: UserView


@router.post(
    "/login",
    response_model=Answer[Tokens],
    responses=errors(400, 401, 413, 415, 429, 503),
    openapi_extra=takes(Credentials, _CREDENTIALS),
)
async def login(request: Request, web: Shared, client: FromClient) -> Json:
    """Sign in with an address and a password."""
    body = await read_body(request, Credentials)
    return ok(_tokens(await web.sign_in.sign_in(body.email, body.password, client)))


@router.post(
    "/refresh",
    response_model=Answer[Tokens],
    responses=errors(400, 401, 413, 415, 503),
    openapi_extra=takes(RefreshBody, {"refreshToken": "507f1f77bcf86cd799439011.Yp3s6v9yBdGhKjNm"}),
)
async def refresh(request: Request, web: Shared, client: FromClient) -> Json:
    """Exchange the refresh token for new tokens.

    Each refresh token is good once. Whoever sends one again has a copy, so the whole sign-in is ended then. Only within
    30 seconds, before its successor was used, it brings that same successor, as for two tabs of one browser.
    """
    body = await read_body(request, RefreshBody)
    return ok(_tokens(await web.sign_in.refresh(body.refresh_token, client)))


@router.post(
    "/logout",
    response_model=Answer[None],
    responses=errors(400, 401, 403, 413, 415, 503),
    openapi_extra=takes(SignOutBody, {"everywhere": True}, optional=True),
)
async def logout(request: Request, user: CurrentUser, web: Shared, client: FromClient) -> Json:
    """End this sign-in, or all of this user's with `everywhere`."""
    body = await read_body(request, SignOutBody, optional=True)
    await web.sign_in.sign_out(user, client, everywhere=body.everywhere)
    return ok(None)


@router.get("/me", response_model=Answer[UserView], responses=errors(401, 503))
async def me(user: CurrentUser) -> Json:
    """Whom the token speaks for."""
    return ok(view_of(user))


@router.post(
    "/password",
    response_model=Answer[None],
    responses=errors(400, 401, 403, 413, 415, 429, 503),
    openapi_extra=takes(PasswordBody, _CHANGE),
)
async def change_password(request: Request, user: CurrentUser, web: Shared, client: FromClient) -> Json:
    """Change one's own password; all other sign-ins of this user end."""
    body = await read_body(request, PasswordBody)
    await web.sign_in.change_password(user, body.current_password, body.new_password, client)
    return ok(None)


def view_of(user: Principal) -> dict[str, Any]:
    """A user, as ``UserView`` has it."""
    return {
        "id": user.user_id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "firmId": user.firm_id,
        "scopes": None if user.scopes is None else sorted(user.scopes),
    }


def _tokens(signed_in: SignedIn) -> dict[str, Any]:
    return {
        "accessToken": signed_in.access_token,
        "tokenType": "Bearer",
        "expiresIn": signed_in.expires_in,
        "refreshToken": signed_in.refresh_token,
        "user": view_of(signed_in.user),
    }
