"""The notification queue: Web Push, notifications inside the application, SMS and webhooks."""

from __future__ import annotations

from toril.queues.notification.definition import (
    Channels,
    choose_signer,
    choose_sms_provider,
    choose_vapid,
    notification_queue,
)
from toril.queues.notification.live import LiveEvents, SocketEvents, firm_room, user_room
from toril.queues.notification.payloads import BulkPush, InApp, Push, Sms, Subscription, Webhook
from toril.queues.notification.providers.base import SentSms, SmsMessage, SmsProvider
from toril.queues.notification.providers.log import LogProvider
from toril.queues.notification.signature import WebhookSigner, new_secret
from toril.queues.notification.vapid import Vapid, new_keys

__all__ = [
    "BulkPush",
    "Channels",
    "InApp",
    "LiveEvents",
    "LogProvider",
    "Push",
    "SentSms",
    "Sms",
    "SmsMessage",
    "SmsProvider",
    "SocketEvents",
    "Subscription",
    "Vapid",
    "Webhook",
    "WebhookSigner",
    "choose_signer",
    "choose_sms_provider",
    "choose_vapid",
    "firm_room",
    "new_keys",
    "new_secret",
    "notification_queue",
    "user_room",
]
