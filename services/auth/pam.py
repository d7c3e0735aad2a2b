"""The door to PAM: ``libpam.so.0`` through ctypes, one conversation a call. Linux-PAM.

The packages there are (python-pam, pamela) cannot name a folder of service files, tell the client's address or keep the
modules' messages apart from prompts; what is needed is these eight functions.

Calls block, and modules are not made for threads: one conversation at a time in a process.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roost.errors import Unavailable

LIBRARY = "libpam.so.0"
REMEDY = "libpam.so.0 is missing (Debian: install libpam0g)"

SUCCESS = 0
OPEN_ERR, SYMBOL_ERR, SERVICE_ERR, SYSTEM_ERR, BUF_ERR = 1, 2, 3, 4, 5
AUTHINFO_UNAVAIL, USER_UNKNOWN, NEW_AUTHTOK_REQD, ACCT_EXPIRED = 9, 10, 12, 13
CONV_ERR, ABORT, MODULE_UNKNOWN = 19, 26, 28

PROMPT_ECHO_OFF, PROMPT_ECHO_ON, ERROR_MSG, TEXT_INFO = 1, 2, 3, 4
ITEM_USER, ITEM_TTY, ITEM_RHOST, ITEM_FAIL_DELAY = 2, 3, 4, 10
ESTABLISH_CRED = 2
TTY = b"dovecot"  # what configurations made for Dovecot know
MAX_MESSAGES = 32
MAX_MESSAGE_OCTETS = 512


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Conversation = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)
_FailDelay = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p)


class _Conv(ctypes.Structure):
    _fields_ = (("function", _Conversation), ("data", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask PAM about. ``folder``: of service files, instead of the system's."""

    service: str
    user: str
    password: bytes = field(repr=False)
    remote_ip: str = ""
    folder: str = ""
    setcred: bool = False
    session: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """``code``: SUCCESS or what the function called ``step`` returned; ``text`` is PAM's word for it. ``message``: what
    the modules said to the user. ``user``: the name after the modules have had their say."""

    code: int
    step: str = ""
    text: str = ""
    message: str = ""
    user: str = ""


_turn = threading.Lock()
_library: ctypes.CDLL | None = None


def load() -> ctypes.CDLL:
    """Raises Unavailable: the library is not there."""
    global _library
    if _library is None:
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise Unavailable("PAM is not available.", detail=f"{REMEDY}: {error}") from error
        library.pam_strerror.restype = ctypes.c_char_p
        _library = library
    return _library


def has_folders() -> bool:
    """Whether this libpam can be told a folder of service files (1.4 and later)."""
    return hasattr(load(), "pam_start_confdir")


def authenticate(question: Question) -> Answer:
    """The conversation: authentication, then credentials, the account's state and a session as asked for. Blocks.

    Raises Unavailable when PAM cannot even be started.
    """
    with _turn:
        return _converse(load(), question)


def _converse(library: ctypes.CDLL, question: Question) -> Answer:
    said: list[str] = []
    name = question.user.encode("utf-8", "surrogateescape")
    conversation = _Conversation(_talker(name, question.password, said))
    silent = _FailDelay(lambda _code, _usecs, _data: None)  # the auth room delays failures, and holds up nobody else
    conv = _Conv(conversation, None)
    handle = ctypes.c_void_p()
    service = question.service.encode()
    if question.folder:
        code = library.pam_start_confdir(
            service, name, ctypes.byref(conv), question.folder.encode(), ctypes.byref(handle)
        )
    else:
        code = library.pam_start(service, name, ctypes.byref(conv), ctypes.byref(handle))
    if code != SUCCESS:
        raise Unavailable("PAM is not available.", detail=f"pam_start({question.service}) failed: error {code}")
    try:
        library.pam_set_item(handle, ITEM_TTY, TTY)
        library.pam_set_item(handle, ITEM_FAIL_DELAY, silent)
        if question.remote_ip:
            library.pam_set_item(handle, ITEM_RHOST, question.remote_ip.encode("utf-8", "replace"))
        steps: list[tuple[str, Callable[[], int]]] = [
            ("pam_authenticate", lambda: int(library.pam_authenticate(handle, 0)))
        ]
        if question.setcred:
            steps.append(("pam_setcred", lambda: int(library.pam_setcred(handle, ESTABLISH_CRED))))
        steps.append(("pam_acct_mgmt", lambda: int(library.pam_acct_mgmt(handle, 0))))
        if question.session:
            steps.append(("pam_open_session", lambda: int(library.pam_open_session(handle, 0))))
            steps.append(("pam_close_session", lambda: int(library.pam_close_session(handle, 0))))
        for step, call in steps:
            code = call()
            if code != SUCCESS:
                text = (library.pam_strerror(handle, code) or b"").decode("utf-8", "replace")
                return Answer(code, step, text, " ".join(said))
        item = ctypes.c_void_p()
        user = question.user
        if library.pam_get_item(handle, ITEM_USER, ctypes.byref(item)) == SUCCESS and item.value:
            user = ctypes.string_at(item.value).decode("utf-8", "surrogateescape")
        return Answer(SUCCESS, message=" ".join(said), user=user)
    finally:
        library.pam_end(handle, code)


def _talker(name: bytes, password: bytes, said: list[str]) -> Callable[..., int]:
    """The conversation's function: answers prompts, keeps messages. Responses are the C library's memory: PAM frees
    them."""
    libc = ctypes.CDLL(None)
    libc.calloc.restype = ctypes.c_void_p
    libc.strdup.restype = ctypes.c_void_p

    def talk(count: int, messages: Any, responses: Any, _data: object) -> int:
        if not 0 < count <= MAX_MESSAGES:
            return CONV_ERR
        memory = libc.calloc(ctypes.c_size_t(count), ctypes.c_size_t(ctypes.sizeof(_Response)))
        if not memory:
            return BUF_ERR
        made = ctypes.cast(memory, ctypes.POINTER(_Response))
        for index in range(count):
            message = messages[index].contents
            if message.style in (PROMPT_ECHO_OFF, PROMPT_ECHO_ON):
                answer = password if message.style == PROMPT_ECHO_OFF else name
                made[index].text = libc.strdup(ctypes.c_char_p(answer))
            elif message.style in (ERROR_MSG, TEXT_INFO) and message.text:
                said.append(message.text[:MAX_MESSAGE_OCTETS].decode("utf-8", "replace").strip())
        responses[0] = made
        return SUCCESS

    return talk
