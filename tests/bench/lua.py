"""``python tests/bench/lua.py``: µs of a plain call, of a suspended one, of a lookup; calls waiting at once."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from roost.events.event import Event
from roost.events.log import Log
from roost.lua.api import auth
from roost.lua.api.auth import AuthRequest, call_auth, members
from roost.lua.script import Script
from roost.settings.schema.lua import LuaSettings

SOURCE = """
function empty() end
function echo(x) return x end
function wait(x) return bench.wait(x) end
function hold(x) return bench.hold(x) end
function lookup(req)
  if req.protocol == "imap" and req.remote_ip then
    return dovecot.auth.PASSDB_RESULT_OK, { password = "{PLAIN}x", user = req.user, home = "/mail/" .. req.user }
  end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, nil
end
"""
VARIABLES = {name: f"value of {name}" for name in ("user", "remote_ip", "local_ip", "session", "mechanism", "secured")}
TURNS, HELD = 20_000, 5_000


async def measure(name: str, settings: LuaSettings) -> None:
    """One column of figures."""
    gate = asyncio.Event()

    async def wait(value: object) -> object:
        return value

    async def hold(value: object) -> object:
        await gate.wait()
        return value

    began = time.perf_counter()
    script = Script.from_string("", SOURCE, (auth.make,), settings, log=Log("bench: "))
    script.register("bench", {"wait": wait, "hold": hold})
    await script.start()
    print(f"{name}: load and start {(time.perf_counter() - began) * 1e6:.0f} µs")
    for function, values in (("empty", ()), ("echo", ("text",)), ("wait", ("text",))):
        began = time.process_time()
        for _ in range(TURNS):
            await script.call(function, *values)
        print(f"{name}: {function} {(time.process_time() - began) / TURNS * 1e6:.2f} µs")
    event = Event(log=Log("bench: "))
    began = time.process_time()
    for _ in range(TURNS):
        await call_auth(script, "lookup", AuthRequest(members({**VARIABLES, "protocol": "imap"}), event))
    print(f"{name}: lookup {(time.process_time() - began) / TURNS * 1e6:.2f} µs")
    began = time.process_time()
    calls = [asyncio.ensure_future(script.call("hold", number)) for number in range(HELD)]
    while script.running < HELD:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)
    print(f"{name}: {HELD} waiting at once, {(time.process_time() - began) / HELD * 1e6:.2f} µs each")
    await script.close()


async def main() -> None:
    await measure("full", LuaSettings())
    await measure("restricted", LuaSettings(lua_trust="restricted"))


if __name__ == "__main__":
    asyncio.run(main())
