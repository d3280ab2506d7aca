"""Live events for web pages, by Socket.IO on the application's own port, at ``/socket.io/``.

| event | who gets it | data |
| --- | --- | --- |
| notification | the user | a new notification, from whichever process sent it |
| job | who asked for the job | ``queueName``, ``jobId``, ``state``, ``progress``, ``returnValue``, ``failedReason`` |
| missed | all | ``of``: notifications or jobs; some may have been lost, so read them anew |
| session:ended | the client | ``code``, ``message``; it is disconnected then |

Clients send one event, ``authenticate``, with a newer token. Rooms follow from the token, never from what clients ask.

Each process tells its own clients only, and hears by itself of what happens: of notifications on the channel that
workers publish to (``relay``), of jobs on the queues' own channels (``job_news``). So several web processes need not
know of each other, and nobody is told twice.
"""

from __future__ import annotations

from toril.web.sockets.server import PATH, Sockets

__all__ = ["PATH", "Sockets"]
