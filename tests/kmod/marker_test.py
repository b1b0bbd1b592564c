# SPDX-License-Identifier: GPL-2.0-or-later
"""The marker: new connections are looked up in the bound ipsets."""

import contextlib
import os
import random
import re
import socket
import struct
import subprocess
import time

import genl
from harness import Skip, child, eventually, load, same, status_of, true, unload
from network import PORT, SERVER4, SERVER6, Lab, run
from ring import errno_of

VALIDATED, ALLOW, DENY = 0x01, 0x0A, 0x0D
BRINGS = 7001  # source port whose packets come with a class, and with bits that are not ours
BROUGHT = 0x120000 | VALIDATED

# Conntrack is there because a rule asks for it. "agree" counts the packets whose class
# byte is that of their connection, as rules and routing behind the marker see it.
RULES = f"""table inet marks {{
    counter agree {{ }}
    counter others {{ }}
    chain early {{
        type filter hook prerouting priority -300;
        udp sport {BRINGS} meta mark set {BROUGHT}
    }}
    chain behind {{
        type filter hook prerouting priority -180;
        udp sport {BRINGS} meta mark & 0xffffff00 != 0x120000 counter name others
        ct state new meta mark & 0xff == 0x0a ct mark & 0xff == 0x0a counter name agree
        ct state new meta mark & 0xff == 0x0d ct mark & 0xff == 0x0d counter name agree
        ct state new meta mark & 0xff == 0x01 ct mark & 0xff == 0x01 counter name agree
        ct state new meta mark & 0xff == 0x00 ct mark & 0xff == 0x00 counter name agree
    }}
}}
"""


class MarkLab(Lab):
    """The server tracks connections and has ipsets."""

    def __init__(self, sets=""):
        super().__init__(RULES)
        try:
            self.listeners()
            self.ipset(sets)
        except BaseException:
            self.close()
            raise

    def ipset(self, text):
        self.server.exec("ipset", "restore", input=text)

    def types(self, *types):
        for number, kind in enumerate(types):
            try:
                self.ipset(f"create probe{number} {kind}\ndestroy probe{number}\n")
            except AssertionError as error:
                raise Skip(f"no ipset of type {kind} here") from error

    def references(self, name):
        return int(re.search(r"References: (\d+)", self.server.exec("ipset", "list", "-t", name)).group(1))

    def send(self, source, port=PORT, data=b"x"):
        """A datagram from this address of the client, or of family 4 or 6, and from this port."""
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        listener = self.listeners()[family == socket.AF_INET6]
        udp = self.udp(self.client, family)
        udp.bind((source, port))
        udp.sendto(data, (SERVER6 if ":" in source else SERVER4, PORT))
        listener.recv(100)

    def marks(self):
        """Source address and port of each connection, and its mark."""
        found = {}
        for family in ("ipv4", "ipv6"):
            for line in self.server.exec("conntrack", "-L", "-f", family, "-p", "udp").splitlines():
                fields = re.search(r"src=(\S+) dst=\S+ sport=(\d+)", line)
                found[(fields.group(1), int(fields.group(2)))] = int(re.search(r"mark=(\d+)", line).group(1))
        return found

    def update(self, *words):
        """By conntrack -U, whose messages are numbered by the second: where that changes meanwhile, it fails."""
        for _ in range(5):
            try:
                return self.server.exec("conntrack", "-U", *words)
            except AssertionError as error:
                if "Protocol error" not in str(error):
                    raise
        raise AssertionError("conntrack -U is never done within a second")

    def counter(self, name):
        text = self.server.exec("nft", "list", "counter", "inet", "marks", name)
        return int(re.search(r"packets (\d+)", text).group(1))


ADDRESSES4 = [f"192.0.2.{number}" for number in range(10, 24)]
ADDRESSES6 = [f"2001:db8:1::{number:x}" for number in range(0x10, 0x1E)]


def more_addresses(lab):
    lab.client.batch("".join(f"addr add {item}/24 dev c0\n" for item in ADDRESSES4))
    lab.client.batch("".join(f"addr add {item}/64 dev c0 nodad\n" for item in ADDRESSES6))
    lab.server.batch(
        "".join(f"neigh replace {item} lladdr 02:00:00:00:00:02 dev s0\n" for item in ADDRESSES4 + ADDRESSES6)
    )


SETS = "create a hash:ip skbinfo\ncreate b hash:net family inet6 skbinfo\ncreate plain hash:ip\n"


def test_bind():
    with MarkLab(SETS) as lab, lab.server, genl.Client() as client:
        same("none", client.bound(), None)
        client.bind("a")
        same("one", [item[:3] for item in client.bound()], [("a", 1, 1)])
        same("references", (lab.references("a"), lab.references("b")), (1, 0))
        client.bind("b", ("a", 2, 3), ("a", 3, 0))
        found = client.bound()
        same("in their order", [item[:3] for item in found], [("b", 1, 1), ("a", 2, 3), ("a", 3, 0)])
        true("index", found[1][3] == found[2][3] != found[0][3])
        same("references", (lab.references("a"), lab.references("b")), (2, 1))
        client.bind(*["a"] * genl.SETS_MAX)
        same("as many as there may be", (len(client.bound()), lab.references("a")), (genl.SETS_MAX, genl.SETS_MAX))
        client.bind()
        same("an empty list", (client.bound(), lab.references("a")), ([], 0))
        client.bind("a")
        client.unbind()
        same("no list", (client.bound(), lab.references("a")), (None, 0))
        client.unbind()
        with lab.client, genl.Client() as other:
            same("a set of another namespace", errno_of(other.bind, "a"), "ENOENT")


def test_refused():
    attribute, nested, one = genl.attribute, genl.A_SETS | genl.NESTED, genl.set_attribute
    name, dim, flags = attribute(1, b"a\0"), attribute(2, b"\1"), attribute(3, b"\1")

    def part(*parts):
        return one("a", 1, 1) + attribute(genl.A_SET | genl.NESTED, b"".join(parts))

    with MarkLab(SETS) as lab, lab.server, genl.Client() as client:
        client.bind("b", "a")
        wanted = client.bound()
        for sets, error in (
            ((("a", 1, 1), ("none", 1, 1)), "ENOENT"),
            ((("", 1, 1),), "ENOENT"),
            ((("a", 1, 1), ("plain", 1, 1)), "EINVAL"),
            ((("a", 0, 0),), "ERANGE"),
            ((("a", 4, 0),), "ERANGE"),
            ((("a", 1, 2),), "EINVAL"),
            ((("a", 2, 4),), "EINVAL"),
            ((("a", 3, 8),), "ERANGE"),
            ((("a" * 32, 1, 1),), "EINVAL"),
            ((("a", 1, 1),) * (genl.SETS_MAX + 1), "EINVAL"),
        ):
            same(f"bind {sets[-1]} of {len(sets)}", errno_of(client.bind, *sets), error)
        for what, payload in (
            ("another attribute", attribute(genl.A_ABI, struct.pack("<I", 1))),
            ("an unknown attribute", attribute(77, b"1234")),
            ("sets without the nest's flag", attribute(genl.A_SETS, one("a", 1, 1))),
            ("something else than a set", attribute(nested, attribute(1 | genl.NESTED, b""))),
            ("a set without the nest's flag", attribute(nested, attribute(genl.A_SET, name + dim + flags))),
            ("bytes behind the last", attribute(nested, one("a", 1, 1) + b"\1\0")),
            ("no name", attribute(nested, part(dim, flags))),
            ("no dimension", attribute(nested, part(name, flags))),
            ("no flags", attribute(nested, part(name, dim))),
            ("an index", attribute(nested, part(name, dim, flags, attribute(4, b"\0\0")))),
            ("a name without its end", attribute(nested, part(attribute(1, b"a"), dim, flags))),
            ("a long dimension", attribute(nested, part(name, attribute(2, b"\1\0\0\0"), flags))),
        ):
            true(f"{what} is refused", errno_of(client.bind_raw, payload) in ("EINVAL", "ERANGE"))
        same("GET_BOUND with an attribute", errno_of(client.call, client.family, genl.GET_BOUND, attribute(1, b"1234")), "EINVAL")
        same("nothing has changed", client.bound(), wanted)
        same("no reference is lost", [lab.references(item) for item in ("a", "b", "plain")], [1, 1, 0])


def test_dimension():
    with MarkLab() as lab, lab.server, genl.Client() as client:
        lab.types("hash:ip,port skbinfo")
        lab.ipset("create p hash:ip,port skbinfo\n")
        same("too few", errno_of(client.bind, ("p", 1, 1)), "EINVAL")
        same("references", lab.references("p"), 0)
        client.bind(("p", 2, 1))


def test_privilege():
    def as_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with genl.Client() as client:
            return len(client.bound()), errno_of(client.bind)

    with MarkLab(SETS) as lab, lab.server, genl.Client() as client:
        client.bind("a")
        same("GET_BOUND and BIND by nobody", status_of(as_nobody), "(1, 'EPERM')")
        same("still bound", len(client.bound()), 1)


def test_marks():
    """Exact and by prefix, both families, the order of the sets, exceptions, and what the packet brings."""
    sets = """create first hash:ip skbinfo
        create nets hash:net skbinfo
        create first6 hash:ip family inet6 skbinfo
        create nets6 hash:net family inet6 skbinfo
        add first 192.0.2.10 skbmark 0x0a
        add first 192.0.2.12 skbmark 0xabcdef0d/0xffffffff
        add first 192.0.2.13 skbmark 0x0a/0xff
        add first 192.0.2.14
        add first 192.0.2.17 skbmark 0x0/0xff
        add first 192.0.2.15 skbmark 0x0f0a/0xff00
        add nets 192.0.2.8/29 skbmark 0x0d/0xff
        add nets 192.0.2.16/29 skbmark 0x0d/0xff
        add nets 192.0.2.18/31 skbmark 0x0a/0xff
        add nets 192.0.2.20/31 nomatch
        add first6 2001:db8:1::10 skbmark 0x0a/0xff
        add nets6 2001:db8:1::10/125 skbmark 0x0d/0xff
        add nets6 2001:db8:1::14/127 nomatch
        """
    four = {
        10: ALLOW,  # the first set decides
        11: DENY,
        12: DENY,  # only our byte goes into the connection
        13: ALLOW,
        14: DENY,  # an entry without a mark says nothing
        15: DENY,  # nor does one whose mark is not in our byte
        17: 0,  # but 0 is a mark
        16: DENY,
        18: ALLOW,  # the longest prefix
        20: 0,  # an exception
        22: DENY,
    }
    six = {0x10: ALLOW, 0x11: DENY, 0x14: 0, 0x16: DENY, 0x18: 0}
    wanted = {(f"192.0.2.{number}", PORT): mark for number, mark in four.items()}
    wanted |= {(f"2001:db8:1::{number:x}", PORT): mark for number, mark in six.items()}
    # with a class of its own: a set says otherwise, says 0, or says nothing
    wanted |= {
        ("192.0.2.11", BRINGS): DENY,
        ("192.0.2.14", BRINGS): DENY,
        ("192.0.2.17", BRINGS): 0,
        ("192.0.2.20", BRINGS): VALIDATED,
        ("192.0.2.2", BRINGS): VALIDATED,
        ("2001:db8:1::18", BRINGS): VALIDATED,
        ("192.0.2.2", PORT): 0,
    }
    with MarkLab(sets) as lab, lab.server, genl.Client() as client:
        more_addresses(lab)
        client.bind("first", "nets", "first6", "nets6")
        for source, port in wanted:
            lab.send(source, port)
        found = lab.marks()
        for flow, mark in wanted.items():
            same(f"mark of {flow}", found.get(flow), mark)
        same("class of packet and connection", lab.counter("agree"), len(wanted))
        same("bits that are not ours", lab.counter("others"), 0)
        # As the rules of mangle do it where no set exists yet.
        client.bind()
        lab.server.exec("conntrack", "-F")
        lab.close_sockets()
        lab.send("192.0.2.11", 7100)
        lab.send("192.0.2.11", BRINGS)
        found = lab.marks()
        same("mark without a set", found[("192.0.2.11", 7100)], 0)
        same("the class that the packet brings, without a set", found[("192.0.2.11", BRINGS)], VALIDATED)
        client.unbind()
        lab.server.exec("conntrack", "-F")
        lab.close_sockets()
        lab.send("192.0.2.11", BRINGS)
        same("mark when nothing is bound", lab.marks()[("192.0.2.11", BRINGS)], 0)


def test_types():
    """Every type that carries verdicts, each bound alone."""
    cases = (
        ("hash:ip,port skbinfo", f"192.0.2.10,udp:{PORT}", 2, 1, True),
        ("hash:ip,port skbinfo", "192.0.2.10,udp:9", 2, 1, False),
        ("hash:net,port skbinfo", f"192.0.2.8/29,udp:{PORT}", 2, 1, True),
        ("hash:net,iface skbinfo", "192.0.2.8/29,s0", 2, 3, True),
        ("hash:net,iface skbinfo", "192.0.2.8/29,s1", 2, 3, False),
        ("hash:ip,mark skbinfo", "192.0.2.10,0x120000", 2, 1, True),  # our byte is not compared
        ("hash:ip,mark skbinfo", f"192.0.2.10,{BROUGHT:#x}", 2, 1, False),
        ("hash:ip skbinfo timeout 600", "192.0.2.10", 1, 1, True),
        ("hash:ip skbinfo", SERVER4, 1, 0, True),  # by destination
    )
    with MarkLab() as lab, lab.server, genl.Client() as client:
        lab.types(*{case[0] for case in cases})
        more_addresses(lab)
        for number, (kind, entry, dim, flags, hit) in enumerate(cases):
            lab.ipset(f"create t{number} {kind}\nadd t{number} {entry} skbmark 0x0d/0xff\n")
            client.bind((f"t{number}", dim, flags))
            lab.server.exec("conntrack", "-F")
            lab.send("192.0.2.10", BRINGS)
            same(f"mark by {kind} {entry}", lab.marks()[("192.0.2.10", BRINGS)], DENY if hit else VALIDATED)
            lab.close_sockets()


def test_lists():
    """A list without skbinfo gives the marks of its members; with it, its own."""
    sets = "create m hash:ip skbinfo\nadd m 192.0.2.2 skbmark 0x0d/0xff\n"
    with MarkLab(sets) as lab, lab.server, genl.Client() as client:
        lab.types("list:set")
        lab.ipset("create l list:set\nadd l m\ncreate own list:set skbinfo\nadd own m skbmark 0x0a/0xff\n")
        client.bind("l")
        lab.send("192.0.2.2", 7101)
        client.bind("own")
        lab.send("192.0.2.2", 7102)
        found = lab.marks()
        same("marks", (found[("192.0.2.2", 7101)], found[("192.0.2.2", 7102)]), (DENY, ALLOW))


def test_only_new_connections():
    """What is confirmed is left to others; so are the connection's other bits."""
    sets = "create a hash:ip skbinfo\nadd a 192.0.2.2 skbmark 0x0d/0xff\n"
    with MarkLab(sets) as lab, lab.server, genl.Client() as client:
        lab.server.nft("add rule inet marks early udp sport 7203 notrack")
        lab.server.nft(
            """table inet earlier {
            chain c {
                type filter hook prerouting priority -195;
                udp sport 7202 ct status & confirmed != confirmed ct mark set 0xaabbcc77
            }
        }"""
        )
        flow = ("192.0.2.2", 7201)
        lab.send(*flow)
        client.bind("a")
        lab.close_sockets()
        lab.send(*flow)
        same("an older connection", lab.marks()[flow], 0)
        lab.send("192.0.2.2", 7202)
        lab.send("192.0.2.2", 7203)
        found = lab.marks()
        same("other bits of the mark", found[("192.0.2.2", 7202)], 0xAABBCC0D)
        true("what is not tracked", ("192.0.2.2", 7203) not in found)
        lab.update("-p", "udp", "--orig-src", "192.0.2.2", "--mark", "0x11/0xff")
        lab.close_sockets()
        lab.send("192.0.2.2", 7202)
        same("a mark that somebody has changed since", lab.marks()[("192.0.2.2", 7202)] & 0xFF, 0x11)


EXPECTS = f"""table ip expects {{
    ct expectation data {{ protocol udp; dport {PORT}; timeout 1m; size 8; l3proto ip; }}
    chain c {{
        type filter hook output priority -150;
        udp sport 7250 ct state new ct mark set {0xAABBCC00 | DENY} ct expectation set "data"
    }}
}}
"""


def test_expected_connection():
    """One that another connection expected has the class of that, whatever the sets say."""
    sets = "create a hash:ip skbinfo\nadd a 192.0.2.2 skbmark 0x0a/0xff\n"
    with MarkLab(sets) as lab, lab.server, genl.Client() as client:
        lab.server.nft(EXPECTS)
        client.bind("a")
        master = lab.udp(lab.server)
        master.bind((SERVER4, 7250))
        master.sendto(b"x", ("192.0.2.2", 7251))
        lab.send("192.0.2.2", 7252)
        lab.send("192.0.2.2", 7253)
        found = lab.marks()
        same("mark of the connection that expects", found[(SERVER4, 7250)], 0xAABBCC00 | DENY)
        same("of the expected one", found[("192.0.2.2", 7252)], 0xAABBCC00 | DENY)
        same("of one that nobody expects any more", found[("192.0.2.2", 7253)], ALLOW)


def test_sets_change():
    sets = "create a hash:ip skbinfo\ncreate c hash:ip skbinfo\nadd c 192.0.2.2 skbmark 0x0d/0xff\ncreate plain hash:ip\nadd plain 192.0.2.2\n"
    with MarkLab(sets) as lab, lab.server, genl.Client() as client:
        client.bind("a")
        number = 7300

        def mark():
            nonlocal number
            number += 1
            lab.send("192.0.2.2", number)
            return lab.marks()[("192.0.2.2", number)]

        same("no entry", mark(), 0)
        lab.ipset("add a 192.0.2.2 skbmark 0x0a/0xff\n")
        same("added", mark(), ALLOW)
        lab.ipset("swap a c\n")
        same("swapped", mark(), DENY)
        same("bound by its name", client.bound()[0][0], "a")
        lab.ipset("flush a\n")
        same("flushed", mark(), 0)
        for words in (("destroy", "a"), ("rename", "a", "x")):
            true(f"ipset {words[0]} is refused", "in use" in refusal(lab, *words) or "referenced" in refusal(lab, *words))
        # the kernel lets a set without skbinfo take the place of one that has it
        lab.ipset("swap a plain\n")
        same("without skbinfo", mark(), 0)
        lab.ipset("swap a plain\n")
        client.bind()
        lab.ipset("destroy a\ndestroy c\ndestroy plain\n")


def refusal(lab, *words):
    with lab.server:
        done = subprocess.run(["ipset", *words], text=True, capture_output=True, check=False)
    true(f"ipset {' '.join(words)} fails", done.returncode)
    return done.stderr


def test_namespace_goes():
    """With bound sets; and the module with them."""
    with MarkLab(SETS) as lab:
        with lab.server, genl.Client() as client:
            client.bind("a", "b", "a")
            lab.send("192.0.2.2", 7400)
    with MarkLab(SETS) as lab, lab.server:
        with genl.Client() as client:
            client.bind("a", "b")
        unload()
        eventually("the references are gone", lambda: lab.references("a") == 0)
        lab.ipset("destroy a\ndestroy b\n")
        load()
        with genl.Client() as client:
            same("a fresh module", client.bound(), None)


def new_connections(lab):
    """Work for child(): a flow after the other."""

    def work(ready):
        ready()
        port = 10000
        while True:
            with contextlib.suppress(OSError), lab.client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                for _ in range(50):
                    port = 10000 + (port + 1) % 50000
                    udp.sendto(b"x", (SERVER4, port))

    return work


def test_changes_under_load():
    """Binding, swapping, flushing and destroying, while connections come."""
    text = "create a hash:ip skbinfo\ncreate c hash:net skbinfo\ncreate other hash:ip skbinfo\nadd a 192.0.2.2 skbmark 0x0d/0xff\n"
    with MarkLab(text) as lab, lab.server, genl.Client() as client, child(new_connections(lab)), child(new_connections(lab)):
        generator = random.Random(4)

        def swap(ready):
            ready()
            while True:
                run("ipset", "restore", input="swap a other\n" * 200 + "flush a\nadd a 192.0.2.2 skbmark 0x0a/0xff\n")

        with child(swap):
            deadline = time.monotonic() + 8
            bound = 0
            while time.monotonic() < deadline:
                names = generator.choices(("a", "c", "other", "none"), k=generator.randrange(4))
                bound += errno_of(client.bind, *names) == "success"
                if generator.random() < 0.02:
                    lab.server.exec("ipset", "flush", "c")
            true(f"bound {bound} times", bound > 20)
        client.bind()
        same("references", [lab.references(name) for name in ("a", "c", "other")], [0, 0, 0])


def test_random_requests():
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"# SEED={seed}", flush=True)
    generator = random.Random(seed)
    good = genl.set_attribute("a", 1, 1)
    with MarkLab(SETS) as lab, lab.server, genl.Client() as client:
        deadline = time.monotonic() + 4
        results = set()
        while time.monotonic() < deadline:
            payload = bytearray(genl.attribute(genl.A_SETS | genl.NESTED, good * generator.randrange(4)))
            for _ in range(generator.randrange(4)):
                if payload:
                    payload[generator.randrange(len(payload))] = generator.randrange(256)
            results.add(errno_of(client.bind_raw, bytes(payload)))
        true(f"results: {results}", {"success", "EINVAL"} <= results)
        client.bind()
        same("references", [lab.references(name) for name in ("a", "b", "plain")], [0, 0, 0])
