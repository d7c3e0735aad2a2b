"""HTTP for whoever asks others: Lua's dovecot.http, oauth2, authentication policies. The wire is in roost.net.http.

``HttpClient(settings, log).request(Request(method, url, headers, body))`` answers with a Response and never raises for
what the network does. ``settings.from_strings`` reads Dovecot 2.4's settings.
"""
