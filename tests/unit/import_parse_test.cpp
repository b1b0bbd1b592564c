// SPDX-License-Identifier: GPL-2.0-or-later
// What is read of iptables-save and of nft's JSON, and what is refused with which words.
#include <gmock/gmock.h>

#include "lib/import/block.h"
#include "lib/import/convert.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string iptables(std::string_view rules, std::string_view policy = "ACCEPT") {
    return "*filter\n:INPUT " + std::string(policy) + " [0:0]\n:other - [0:0]\n" + std::string(rules) +
           "COMMIT\n";
}

// Of inet filter input; `expressions` are JSON lists.
std::string nft(std::vector<std::string> expressions, std::string_view more = "") {
    std::string text = R"({"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "filter"}},)"
                       R"({"chain": {"family": "inet", "table": "filter", "name": "input", "type": "filter",)"
                       R"( "hook": "input", "prio": 0, "policy": "accept"}})" +
                       std::string(more);
    unsigned handle = 10;
    for (const std::string& list : expressions)
        text += R"(, {"rule": {"family": "inet", "table": "filter", "chain": "input", "handle": )" +
                std::to_string(handle++) + R"(, "expr": )" + list + "}}";
    return text + "]}";
}

Result<Conversion> convert(const std::string& text, ImportOptions options = {}) {
    return convert_ruleset(text, "t", options, {.random_packets = 1000, .seed = 1});
}

std::string refusal(const std::string& text, const ImportOptions& options = {}) {
    const auto result = convert(text, options);
    return result ? "accepted" : result.error().message;
}

// The lines of sets.ipset that add, without their comments.
std::string entries(const std::string& text, const ImportOptions& options = {}) {
    const auto result = convert(text, options);
    if (!result) return result.error().message;
    std::string added;
    for (const PlannedSet& set : result->plan.sets)
        for (const PlannedEntry& entry : set.entries)
            (void)each_command({set.name, set.kind, set.family, {entry}}, set.name,
                               [&](const std::string& command) -> Result<void> {
                                   if (command.starts_with("add"))
                                       added += command.substr(4, command.find(" comment \"") - 4) + "\n";
                                   return {};
                               });
    return added;
}

TEST(ImportBlocks, RangesBecomeTheFewestPrefixes) {
    const auto prefixes = [](const char* first, const char* last) {
        std::string text;
        for (const Prefix& prefix : range_prefixes(*Address::parse(first), *Address::parse(last)))
            text += prefix.to_string() + " ";
        return text;
    };
    EXPECT_EQ(prefixes("192.0.2.4", "192.0.2.9"), "192.0.2.4/30 192.0.2.8/31 ");
    EXPECT_EQ(prefixes("0.0.0.0", "255.255.255.255"), "0.0.0.0/0 ");
    EXPECT_EQ(prefixes("255.255.255.255", "255.255.255.255"), "255.255.255.255 ");
    EXPECT_EQ(prefixes("192.0.2.9", "192.0.2.4"), "");
    EXPECT_EQ(prefixes("::", "::2"), "::/127 ::2 ");
    EXPECT_EQ(prefixes("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "::/0 ");
}

TEST(ImportIptables, ReadsWhatRulesSay) {
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1/32 -j DROP\n")), "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
    EXPECT_EQ(
        entries(iptables(
            "[3:4] -A INPUT -s 192.0.2.77/255.255.255.0 -m comment --comment \"a -j \\\" b\" -j DROP\n")),
        "t4-1 192.0.2.0/24 skbmark 0xd/0xff packets 3 bytes 4\n");
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1 -p udp -m multiport --dports 53,67:68 -j DROP\n")),
              "t4-1 192.0.2.1,udp:53 skbmark 0xd/0xff\nt4-1 192.0.2.1,udp:67-68 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("-A INPUT -m iprange --src-range 192.0.2.4-192.0.2.9 -j DROP\n")),
              "t4-1 192.0.2.4/30 skbmark 0xd/0xff\nt4-1 192.0.2.8/31 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("-A INPUT -i eth1 -j DROP\n")), "t4-1 0.0.0.0/0,eth1 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1 -p gre -j DROP\n")),
              "t4-1 192.0.2.1,47:0 skbmark 0xd/0xff\n");
    EXPECT_EQ(
        entries(iptables("-A INPUT -s 2001:db8::/32 -p ipv6-icmp -m icmp6 --icmpv6-type 128/1 -j DROP\n")),
        "t6-1 2001:db8::/32,icmpv6:128/1 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("", "DROP")),
              "t4-1 0.0.0.0/1 skbmark 0xd/0xff\nt4-1 128.0.0.0/1 skbmark 0xd/0xff\n");
    // Errors of ICMP begin no connection, and so does what is established.
    EXPECT_EQ(entries(iptables("-A INPUT -p icmp -m icmp --icmp-type 3 -j DROP\n"
                               "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n")),
              "");
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1 -m conntrack --ctstate NEW -j DROP\n")),
              "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
}

TEST(ImportIptables, FollowsJumps) {
    EXPECT_EQ(entries(iptables("-A INPUT -p tcp -m tcp --dport 22 -j other\n"
                               "-A other -s 192.0.2.1 -j DROP\n-A other -j RETURN\n-A other -j DROP\n")),
              "t4-1 192.0.2.1,tcp:22 skbmark 0xd/0xff\n");
    EXPECT_THAT(refusal(iptables("-A INPUT -j other\n-A other -j other\n")), HasSubstr("in a circle"));
    EXPECT_THAT(refusal(iptables("-A INPUT -j other\n-A other -s 192.0.2.1 -j RETURN\n-A other -j DROP\n")),
                HasSubstr("line 5: some packets leave this chain"));
    EXPECT_THAT(refusal(iptables("-A INPUT -j nowhere\n")), HasSubstr("nowhere is no verdict and no chain"));
    // Chains that jump to others many times would multiply.
    std::string bomb;
    for (int i = 0; i < 200; i++) bomb += "-A other -j INPUT\n-A INPUT -j other\n";
    EXPECT_THAT(refusal(iptables(bomb)), HasSubstr("cannot be expressed"));
}

TEST(ImportIptables, RefusesByLineAndReason) {
    const auto says = [](std::string_view rule) { return refusal(iptables(std::string(rule) + "\n")); };
    EXPECT_THAT(says("-A INPUT ! -s 192.0.2.1 -j DROP"), HasSubstr("line 4: it matches what is NOT -s"));
    EXPECT_THAT(says("-A INPUT -d 192.0.2.1 -j DROP"), HasSubstr("destination address"));
    EXPECT_THAT(says("-A INPUT -s 192.0.2.1 -j REJECT"), HasSubstr("--reject-as-drop"));
    EXPECT_THAT(says("-A INPUT -j LOG --log-prefix \"x \""), HasSubstr("--skip-log"));
    EXPECT_THAT(says("-A INPUT -m conntrack --ctstate INVALID -j DROP"), HasSubstr("have no mark"));
    EXPECT_THAT(says("-A INPUT -m conntrack --ctstate ESTABLISHED -j DROP"),
                HasSubstr("connections that exist"));
    EXPECT_THAT(says("-A INPUT -m limit --limit 3/min -j DROP"), HasSubstr("`limit`"));
    EXPECT_THAT(says("-A INPUT -m set --match-set bad src -j DROP"), HasSubstr("bind it instead"));
    EXPECT_THAT(says("-A INPUT -i eth+ -j DROP"), HasSubstr("many interfaces"));
    EXPECT_THAT(says("-A INPUT -i eth0 -p tcp -m tcp --dport 22 -j DROP"),
                HasSubstr("an interface and a port"));
    EXPECT_THAT(says("-A INPUT -p tcp -m tcp --sport 22 -j DROP"), HasSubstr("--sport"));
    EXPECT_THAT(says("-A INPUT -p dccp -m dccp --dport 22 -j DROP"), HasSubstr("no ports of this protocol"));
    EXPECT_THAT(says("-A INPUT -j MARK --set-mark 1"), HasSubstr("MARK is no verdict"));
    EXPECT_THAT(says("-A INPUT -g other"), HasSubstr("goto"));
    EXPECT_THAT(says("-A INPUT -s"), HasSubstr("-s has no value"));
    EXPECT_THAT(says("-A INPUT -s 192.0.2.1/255.0.255.0 -j DROP"), HasSubstr("no address or prefix"));
    EXPECT_THAT(says("-A INPUT -p tcp -m tcp --dport 99999 -j DROP"), HasSubstr("no port"));
    EXPECT_THAT(says("-A INPUT -p tcp -m tcp --dport http -j DROP"), HasSubstr("write numbers"));
    EXPECT_THAT(says("-A INPUT -m comment --comment \"open -j DROP"),
                HasSubstr("line 4: a quotation does not end"));
    EXPECT_THAT(says("-I INPUT -j DROP"), HasSubstr("line 4: only rules that are appended"));
    EXPECT_THAT(says("-A MISSING -j DROP"), HasSubstr("line 4: no such chain"));
    // All of them are told, and each with its text.
    const std::string both = says("-A INPUT -j LOG\n-A INPUT -s 192.0.2.1 -j REJECT");
    EXPECT_THAT(both, HasSubstr("2 rules cannot"));
    EXPECT_THAT(both, HasSubstr("-A INPUT -s 192.0.2.1 -j REJECT"));
    // What the chain does not reach does not matter.
    EXPECT_EQ(entries(iptables("-A other ! -s 192.0.2.1 -j DROP\n-A INPUT -s 192.0.2.1 -j DROP\n")),
              "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
}

TEST(ImportIptables, RefusesFilesThatAreNone) {
    EXPECT_THAT(refusal(""), HasSubstr("is empty"));
    EXPECT_THAT(refusal("hello\n"), HasSubstr("line 1: this is no line of iptables-save"));
    EXPECT_THAT(refusal("*filter\n:INPUT ACCEPT [0:0]\n"), HasSubstr("without COMMIT"));
    EXPECT_THAT(refusal("*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\n"),
                HasSubstr("no chain INPUT in a table filter"));
    EXPECT_THAT(refusal(iptables("") + iptables("")), HasSubstr("a second table filter"));
    EXPECT_EQ(
        refusal("# ip6tables-save\n" + iptables("", "DROP") + "# iptables-save\n" + iptables("", "DROP")),
        "accepted");
    EXPECT_THAT(refusal(iptables(""), {.chain = "other"}), HasSubstr("has no policy"));
    EXPECT_THAT(refusal(iptables("-A INPUT -p tcp -m tcp --dport 1:60000 -j DROP\n"), {.most_entries = 1000}),
                HasSubstr("line 4: with it the sets have more than 1000 elements"));
    EXPECT_EQ(convert(iptables(""), {})->plan.sets.size(), 0u);
    EXPECT_EQ(convert_ruleset(iptables(""), "a,b", {}, {}).error().code, ErrorCode::usage);
}

TEST(ImportIptables, OptionsWiden) {
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1 -j REJECT --reject-with icmp-port-unreachable\n"),
                      {.reject_as_drop = true}),
              "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("-A INPUT -s 192.0.2.1 -j LOG\n-A INPUT -s 192.0.2.1 -j DROP\n"),
                      {.skip_log = true}),
              "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(iptables("-A INPUT -p icmpv6 -j DROP\n"), {.family = SW_IPV6}).substr(0, 28),
              "t6-1 ::/1,icmpv6:128/0 skbma");
}

const std::string drop = R"(, {"drop": null}])";
std::string saddr(const std::string& right) {
    return R"([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": )" +
           right + "}}";
}

TEST(ImportNft, ReadsWhatRulesSay) {
    EXPECT_EQ(entries(nft({saddr(R"("192.0.2.1")") + drop})), "t4-1 192.0.2.1 skbmark 0xd/0xff\n");
    EXPECT_EQ(entries(nft({saddr(R"({"set": ["192.0.2.1", {"prefix": {"addr": "192.0.2.8", "len": 30}},)"
                                 R"({"range": ["192.0.2.20", "192.0.2.22"]}]})") +
                           drop})),
              "t4-1 192.0.2.1 skbmark 0xd/0xff\nt4-1 192.0.2.8/30 skbmark 0xd/0xff\n"
              "t4-1 192.0.2.20/31 skbmark 0xd/0xff\nt4-1 192.0.2.22 skbmark 0xd/0xff\n");
    EXPECT_EQ(
        entries(nft({saddr(R"("@bad")") + drop},
                    R"(, {"set": {"family": "inet", "table": "filter", "name": "bad", "type": "ipv4_addr",)"
                    R"( "elem": [{"elem": {"val": "192.0.2.1", "timeout": 5}}]}})")),
        "t4-1 192.0.2.1 skbmark 0xd/0xff timeout 5\n");
    // A port of both families.
    EXPECT_EQ(
        entries(nft(
            {R"([{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": {"set": ["tcp", "udp"]}}},)"
             R"({"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": 53}})" +
             drop})),
        "t4-1 0.0.0.0/1,tcp:53 skbmark 0xd/0xff\nt4-1 128.0.0.0/1,tcp:53 skbmark 0xd/0xff\n"
        "t4-1 0.0.0.0/1,udp:53 skbmark 0xd/0xff\nt4-1 128.0.0.0/1,udp:53 skbmark 0xd/0xff\n"
        "t6-1 ::/1,tcp:53 skbmark 0xd/0xff\nt6-1 8000::/1,tcp:53 skbmark 0xd/0xff\n"
        "t6-1 ::/1,udp:53 skbmark 0xd/0xff\nt6-1 8000::/1,udp:53 skbmark 0xd/0xff\n");
    EXPECT_EQ(
        entries(nft(
            {R"([{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},)"
             R"({"accept": null}])"})),
        "");
}

// One rule for each element, whose jumps are followed.
TEST(ImportNft, AVerdictMapIsARuleForEachElement) {
    const std::string chain =
        R"(, {"chain": {"family": "inet", "table": "filter", "name": "bad"}})"
        R"(, {"rule": {"family": "inet", "table": "filter", "chain": "bad", "handle": 99,)"
        R"( "expr": [{"drop": null}]}})";
    EXPECT_EQ(
        entries(nft(
            {R"([{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": null}],)"
             R"( ["related", {"accept": null}]]}}}])",
             R"([{"counter": {"packets": 3, "bytes": 4}}, {"vmap": {"key": {"payload": {"protocol": "ip",)"
             R"( "field": "saddr"}}, "data": {"set": [["192.0.2.1", {"accept": null}], [{"prefix":)"
             R"( {"addr": "203.0.113.0", "len": 24}}, {"jump": {"target": "bad"}}]]}}}])"},
            chain)),
        "t4-1 203.0.113.0/24 skbmark 0xd/0xff\n")
        << "who is accepted is so by the policy too";
}

TEST(ImportNft, RefusesByHandleAndReason) {
    const auto says = [](std::string expressions) { return refusal(nft({std::move(expressions)})); };
    EXPECT_THAT(says(R"([{"xt": {"type": "match", "name": "multiport"}}, {"drop": null}])"),
                HasSubstr("iptables-save"));
    EXPECT_THAT(says(R"([{"vmap": {}}])"),
                HasSubstr("rule with handle 10 of chain inet filter input: it asks a verdict map"));
    EXPECT_THAT(says(R"([{"vmap": {"key": {"ct": {"key": "state"}}, "data": "@elsewhere"}}])"),
                HasSubstr("it asks a verdict map that is elsewhere"));
    EXPECT_THAT(
        says(R"([{"vmap": {"key": {"ct": {"key": "direction"}}, "data": {"set": [[0, {"drop": null}]]}}}])"),
        HasSubstr("no set can be asked about"));
    EXPECT_THAT(says(R"([{"reject": null}])"), HasSubstr("--reject-as-drop"));
    EXPECT_THAT(says(R"([{"log": null}, {"drop": null}])"), HasSubstr("--skip-log"));
    EXPECT_THAT(says(saddr(R"("@nowhere")") + drop), HasSubstr("nowhere is not in the file"));
    EXPECT_THAT(says(saddr(R"("2001:db8::1")") + drop), HasSubstr("is no address"));
    EXPECT_THAT(
        says(
            R"([{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}})" +
            drop),
        HasSubstr("`!=`"));
    EXPECT_THAT(says(R"([{"limit": {}}, {"drop": null}])"), HasSubstr("rate"));
    EXPECT_THAT(says(R"([{"accept": null}, {"drop": null}])"), HasSubstr("two verdicts"));
    EXPECT_THAT(says(R"([{"jump": {"target": "nowhere"}}])"), HasSubstr("not in the file"));
    EXPECT_THAT(says(R"([5])"), HasSubstr("not understood"));
    EXPECT_THAT(refusal("{"), HasSubstr("no JSON of"));
    EXPECT_THAT(refusal(R"({"nftables": []})"), HasSubstr("no chain with the hook or name INPUT"));
    EXPECT_THAT(refusal("{" + std::string(100'000, '[')), HasSubstr("nested too deep"));
    const std::string twice =
        R"(, {"chain": {"family": "ip", "table": "mine", "name": "in", "type": "filter", "hook": "input"}})";
    EXPECT_THAT(refusal(nft({}, twice)), HasSubstr("two chains see the same packets"));
    EXPECT_EQ(refusal(nft({}, twice), {.table = "mine"}), "accepted");
}

// Which rule an entry was, and what it has matched.
TEST(ImportEntries, HaveTheCommentOfTheirRuleOrItsPlace) {
    const auto comments = [](const std::string& text) {
        std::vector<std::string> found;
        const auto result = convert(text);
        if (!result) return std::vector{result.error().message};
        for (const PlannedSet& set : result->plan.sets)
            for (const PlannedEntry& entry : set.entries) found.push_back(entry.comment);
        EXPECT_THAT(result->files.at(0).text, HasSubstr(" timeout 0 counters comment skbinfo\n"));
        EXPECT_THAT(result->files.at(0).text, HasSubstr(" comment \"" + found.back() + "\"\n"));
        return found;
    };
    EXPECT_THAT(comments(iptables("-A INPUT -s 192.0.2.1 -j DROP\n"
                                  "-A INPUT -s 192.0.2.2 -m comment --comment spammers -j DROP\n"
                                  "-A INPUT -s 192.0.2.3 -m comment --comment \"say \\\"no\\\" \\\\ \t!\" -j "
                                  "DROP\n")),
                ElementsAre("line 4", "spammers", "say 'no' \\  !"));
    EXPECT_THAT(comments(iptables("", "DROP")), ElementsAre("policy", "policy"));
    // ipset takes "-q" for its own option wherever it stands.
    EXPECT_THAT(comments(iptables("-A INPUT -s 192.0.2.1 -m comment --comment -q -j DROP\n")),
                ElementsAre(" -q"));
    // Cut between characters.
    EXPECT_THAT(comments(iptables("-A INPUT -s 192.0.2.1 -m comment --comment " + std::string(254, 'x') +
                                  "\u00fc -j DROP\n")),
                ElementsAre(std::string(254, 'x')));
    std::string own = nft({saddr(R"("192.0.2.1")") + drop, saddr(R"("192.0.2.2")") + drop});
    own.replace(own.find(R"("expr")"), 0, R"("comment": "mine \" own", )");
    EXPECT_THAT(comments(own), ElementsAre("mine ' own", "handle 11 of inet filter input"));
}

TEST(ImportEntries, CountOnIfTheyAreAllThatARuleBecame) {
    EXPECT_EQ(entries(iptables("[3:180] -A INPUT -s 192.0.2.1 -j DROP\n"
                               "[5:300] -A INPUT -s 192.0.2.2 -p tcp -m multiport --dports 22,80 -j DROP\n"
                               "[x:y] -A INPUT -s 192.0.2.3 -j DROP\n"
                               "-A INPUT -s 192.0.2.4 -c 7 8 -j DROP\n")),
              "t4-1 192.0.2.1 skbmark 0xd/0xff packets 3 bytes 180\nt4-1 192.0.2.3 skbmark 0xd/0xff\n"
              "t4-1 192.0.2.4 skbmark 0xd/0xff packets 7 bytes 8\n"
              "t4-2 192.0.2.2,tcp:22 skbmark 0xd/0xff\nt4-2 192.0.2.2,tcp:80 skbmark 0xd/0xff\n");
    std::string rule = saddr(R"("192.0.2.1")") + R"(, {"counter": {"packets": 9, "bytes": 99}})" + drop;
    EXPECT_EQ(entries(nft({rule})), "t4-1 192.0.2.1 skbmark 0xd/0xff packets 9 bytes 99\n");
}

// Of the family inet, with these elements.
std::string named_set(const std::string& name, const std::string& elements) {
    return R"(, {"set": {"family": "inet", "table": "filter", "name": ")" + name +
           R"(", "type": "ipv4_addr", "elem": [)" + elements + "]}}";
}
const std::string accept = R"(, {"accept": null}])";

TEST(ImportTimeouts, AreKept) {
    EXPECT_EQ(
        entries(nft({saddr(R"("@few")") + accept, saddr(R"("192.0.2.0/24")") + drop},
                    named_set("few", R"({"elem": {"val": "192.0.2.1", "timeout": 600, "expires": 590}},)"
                                     R"( {"elem": {"val": "192.0.2.2", "expires": 0}}, "192.0.2.3")"))),
        "t4-1 192.0.2.0/24 skbmark 0xd/0xff\nt4-1 192.0.2.1 skbmark 0xb/0xff timeout 590\n"
        "t4-1 192.0.2.2 skbmark 0xb/0xff timeout 1\nt4-1 192.0.2.3 skbmark 0xb/0xff\n");
    // What is wider and comes first decides until it expires: within one set it would not.
    EXPECT_EQ(
        entries(nft(
            {saddr(R"("@wide")") + drop, saddr(R"("192.0.2.1")") + accept, saddr(R"("192.0.0.0/16")") + drop},
            named_set("wide", R"({"elem": {"val": {"prefix": {"addr": "192.0.2.0", "len": 24}},)"
                              R"( "expires": 60}})"))),
        "t4-1 192.0.2.0/24 skbmark 0xd/0xff timeout 60\nt4-2 192.0.0.0/16 skbmark 0xd/0xff\n"
        "t4-2 192.0.2.1 skbmark 0xb/0xff\n");
    // Nor does it cover the same again.
    EXPECT_EQ(entries(nft({saddr(R"("@one")") + drop, saddr(R"("192.0.2.1")") + drop},
                          named_set("one", R"({"elem": {"val": "192.0.2.1", "expires": 60}})"))),
              "t4-1 192.0.2.1 skbmark 0xd/0xff timeout 60\nt4-2 192.0.2.1 skbmark 0xd/0xff\n");
}

TEST(ImportTimeouts, AreToldWhereTheyAreNot) {
    const auto notes = [](const std::string& text) {
        std::string all;
        const auto result = convert(text);
        if (!result) return result.error().message;
        for (const std::string& note : result->notes) all += note + "\n";
        return all;
    };
    const auto of = [&](const std::string& element) {
        return notes(nft({saddr(R"("@one")") + drop}, named_set("one", element)));
    };
    EXPECT_THAT(of(R"({"elem": {"val": "192.0.2.1", "expires": 60}})"), HasSubstr("1 entries expire"));
    EXPECT_THAT(of(R"({"elem": {"val": "192.0.2.1", "expires": 3000000}})"), HasSubstr("more than 24 days"));
    EXPECT_THAT(of(R"("192.0.2.1")"), Not(HasSubstr("expire")));
    EXPECT_THAT(
        notes(nft(
            {R"([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "@ports"}})" + drop},
            named_set("ports", R"({"elem": {"val": "eth0", "expires": 60}})"))),
        HasSubstr("became parts of entries that stay"));
}

TEST(ImportNotes, SayWhatChanges) {
    const auto notes = [](const std::string& rules, const ImportOptions& options = {}) {
        std::string text;
        const auto result = convert(iptables(rules), options);
        if (!result) return result.error().message;
        for (const std::string& note : result->notes) text += note + "\n";
        return text;
    };
    EXPECT_THAT(notes("-A INPUT -s 192.0.2.0/24 -j DROP\n-A INPUT -s 192.0.2.7 -j ACCEPT\n"),
                HasSubstr("line 5 never decides"));
    EXPECT_THAT(notes("-A INPUT -s 192.0.2.7 -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j DROP\n"),
                Not(HasSubstr("never decides")));
    EXPECT_THAT(notes("-A INPUT -s 192.0.2.7 -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j DROP\n"),
                Not(HasSubstr("without cookies")));
    EXPECT_THAT(
        notes("-A INPUT -s 192.0.2.7 -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j DROP\n", {.skip_cookies = true}),
        HasSubstr("1 entries without cookies"));
}

}  // namespace
}  // namespace synward
