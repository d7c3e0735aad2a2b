"""doveadm: the administrator's command. A Dovecot administrator's habits and scripts work.

Files     ``cli`` argv → command → exit status · ``command`` what a command is · ``arguments`` its options ·
          ``context`` configuration, sockets, output · ``peer`` blocking connections to the services ·
          ``commands/`` one file a command, COMMANDS the table · ``output/`` one file a formatter, FORMATS the table.
Sockets   ``auth-client`` ``auth-userdb`` (docs/protocols/auth.md), ``anvil`` (docs/protocols/anvil.md), the master's
          control socket (docs/protocols/master.md).
Exit      sysexits.h: 0, 64 usage, 65 data, 67 no such user, 68 not found, 70 our bug, 75 temporary, 77 not permitted,
          78 configuration.
See also  ``docs/man/doveadm.1.md``.

A one-shot command starts in a few hundredths of a second: no event loop, no argparse, and nothing is imported before
the command that needs it is known.
"""
