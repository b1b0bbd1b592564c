// SPDX-License-Identifier: GPL-2.0-or-later
// [escalation], [decide] and what a service says about doubtful packets: right and wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/config.h"
#include "lib/policy.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

Config parsed(const std::string& text) {
    auto config = parse_config(text, "test.toml");
    EXPECT_TRUE(config) << (config ? "" : config.error().message) << "\n" << text;
    return config.value_or(Config{});
}

std::string refusal(const std::string& text) {
    const auto config = parse_config(text, "test.toml");
    EXPECT_FALSE(config) << "accepted: " << text;
    if (config) return {};
    EXPECT_EQ(config.error().code, ErrorCode::config);
    return config.error().message;
}

std::string service(const std::string& lines) {
    return "[[service]]\nname = \"web\"\nport = 80\n" + lines;
}

TEST(ConfigEscalation, AnEmptyFileHasTheDocumentedDefaults) {
    const Config c = parsed("");
    EXPECT_TRUE(c.escalation.enabled);
    EXPECT_EQ(c.escalation.transport, TransportChoice::automatic);
    EXPECT_EQ(c.escalation.queues, 1);
    EXPECT_EQ(c.escalation.queue, 21337);  // synward.toml(5)
    EXPECT_EQ(c.escalation.slots, 4096u);
    EXPECT_EQ(c.escalation.deadline, 200ms);
    EXPECT_EQ(c.escalation.fail, SW_RING_FAIL_ACCEPT);
    EXPECT_EQ(c.escalation.mode, SW_RING_HOLD);
    EXPECT_EQ(c.escalation.fanout, SW_RING_FANOUT_CPU);
    EXPECT_EQ(c.decide, DecideConfig{});
    EXPECT_TRUE(check(c.decide));
    EXPECT_EQ(c.defaults.odd_syn, SW_ACTION_PASS);
    EXPECT_EQ(c.defaults.escalate_rate, 1000u);
    EXPECT_EQ(c.defaults.escalate_default, SW_ACTION_DROP);
    EXPECT_FALSE(c.escalates());
}

TEST(ConfigEscalation, EveryKeyOfEscalationIsRead) {
    const Config c = parsed(R"(
[escalation]
transport = "nfqueue"
queues = 4
queue = 300
slots = 1024
deadline = "50ms"
fail = "drop"
mode = "copy-drop"
fanout = "flow"
)");
    EXPECT_EQ(c.escalation.transport, TransportChoice::nfqueue);
    EXPECT_EQ(c.escalation.queues, 4);
    EXPECT_EQ(c.escalation.queue, 300);
    EXPECT_EQ(c.escalation.slots, 1024u);
    EXPECT_EQ(c.escalation.deadline, 50ms);
    EXPECT_EQ(c.escalation.fail, SW_RING_FAIL_DROP);
    EXPECT_EQ(c.escalation.mode, SW_RING_COPY);
    EXPECT_EQ(c.escalation.fanout, SW_RING_FANOUT_FLOW);
    EXPECT_EQ(parsed("[escalation]\nmode = \"hold\"\n").escalation.mode, SW_RING_HOLD);
    EXPECT_EQ(parsed("[escalation]\nfanout = \"cpu\"\n").escalation.fanout, SW_RING_FANOUT_CPU);
    EXPECT_EQ(parsed("[escalation]\ntransport = \"ring\"\n").escalation.transport, TransportChoice::ring);
    EXPECT_EQ(parsed("[escalation]\nfail = \"accept\"\n").escalation.fail, SW_RING_FAIL_ACCEPT);
    const Config automatic = parsed("[escalation]\ntransport = \"auto\"\n");
    EXPECT_EQ(automatic.escalation.transport, TransportChoice::automatic);
    EXPECT_TRUE(automatic.escalation.enabled);
    EXPECT_FALSE(parsed("[escalation]\ntransport = \"none\"\n").escalation.enabled);
}

TEST(ConfigEscalation, TheEdgesOfEscalationAreAllowed) {
    for (const char* line : {"queues = 1", "queues = 64", "queue = 0", "queue = 65471", "slots = 2",
                             "slots = 65536", "deadline = \"1ms\"", "deadline = \"10s\""})
        parsed(std::string("[escalation]\n") + line + "\n");
}

TEST(ConfigEscalation, WrongEscalation) {
    struct Case {
        const char* line;
        const char* message;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"transport = \"mmap\"",
              "test.toml:2:13: escalation.transport: 'mmap' is unknown; allowed are "
              "auto, ring, nfqueue, none"},
             {"transport = true", "true or false where one of auto, ring, nfqueue, none belongs"},
             {"queues = 0", "test.toml:2:10: escalation.queues: 0 is out of range; 1 to 64 is allowed"},
             {"queues = 65", "65 is out of range; 1 to 64"},
             {"queues = \"2\"", "a string where an integer from 1 to 64 belongs"},
             {"queue = -1", "escalation.queue: -1 is out of range; 0 to 65471"},
             {"queue = 65472", "0 to 65471 is allowed"},
             {"slots = 1", "1 is out of range; 2 to 65536"},
             {"slots = 131072", "2 to 65536 is allowed"},
             {"slots = 1000",
              "test.toml:2:9: escalation.slots: 1000 is no power of two; one like 1024 or 4096"},
             {"deadline = \"0ms\"", "test.toml:2:12: escalation.deadline: '0ms' is out of range"},
             {"deadline = \"11s\"", "a string from \"1ms\" to \"10s\""},
             {"deadline = 200", "escalation.deadline: an integer is no duration"},
             {"fail = \"pass\"", "escalation.fail: 'pass' is unknown; allowed are accept, drop"},
             {"mode = \"copy\"", "escalation.mode: 'copy' is unknown; allowed are hold, copy-drop"},
             {"fanout = 2", "an integer where one of cpu, flow belongs"},
             {"quueues = 1", "test.toml:2:1: escalation.'quueues': unknown key; did you mean 'queues'?"}})
        EXPECT_THAT(refusal(std::string("[escalation]\n") + c.line + "\n"), HasSubstr(c.message)) << c.line;
    EXPECT_THAT(refusal("escalation = 1\n"), HasSubstr("write [escalation]"));
    EXPECT_THAT(refusal("[escalaton]\n"), HasSubstr("did you mean 'escalation'?"));
}

TEST(ConfigEscalation, EveryKeyOfDecideIsRead) {
    const Config c = parsed(R"(
[decide]
dry_run = true
proven_window = "5m"
proven_rate = 40
stray_ticket = "20s"
shape_ticket = "1m"
shape_rate = 50
shape_normal = 16
host_rate = 100
net_rate = 1000
rate_ticket = "30s"
fragment = "drop"
malformed = "default"
accept_mark = 0x00200020
accept_mask = 0xffff00ff
connection_rate = 200
deny = "5m"
deny_set4 = "bad4"
deny_set6 = "bad6"
record = "/var/log/synward/events.trace"
record_limit = 5
)");
    const DecideConfig& d = c.decide;
    EXPECT_TRUE(d.dry_run);
    EXPECT_EQ(d.accept_mark, 0x00200020u);
    EXPECT_EQ(d.accept_mask, 0xffff00ffu);
    EXPECT_EQ(d.proven_window, 5min);
    EXPECT_EQ(d.proven, (Limit{40, 200}));
    EXPECT_EQ(d.stray_drop, 20s);
    EXPECT_EQ(d.shape_drop, 1min);
    EXPECT_EQ(d.shape_unknown, (Limit{50, 100}));
    EXPECT_EQ(d.shape_normal, 16u);
    EXPECT_EQ(d.host_rate, (Limit{100, 500}));
    EXPECT_EQ(d.net_rate, (Limit{1000, 5000}));
    EXPECT_EQ(d.rate_drop, 30s);
    EXPECT_EQ(d.fragment, Opinion::drop);
    EXPECT_EQ(d.malformed, Opinion::none);
    EXPECT_EQ(d.connections, (Limit{200, 2000}));
    EXPECT_EQ(d.deny, 5min);
    EXPECT_EQ(d.deny_set[SW_IPV4], "bad4");
    EXPECT_EQ(d.deny_set[SW_IPV6], "bad6");
    EXPECT_EQ(c.record.file, "/var/log/synward/events.trace");
    EXPECT_EQ(c.record.limit, 5u << 20);
    EXPECT_EQ(parsed("").record, RecordConfig{});
    EXPECT_EQ(parsed("").record.file, "") << "nothing is recorded unless somebody wants it";
    EXPECT_EQ(parsed("[decide]\nfragment = \"accept\"\n").decide.fragment, Opinion::accept);
}

// Whatever the keys allow, the deciders take: a value in range never fails later.
TEST(ConfigEscalation, TheEdgesOfDecideAreAllowed) {
    for (const char* key : {"proven_rate", "shape_rate", "host_rate", "net_rate", "connection_rate"})
        for (const char* value : {"1", "1000000"}) {
            const Config c = parsed(std::string("[decide]\n") + key + " = " + value + "\n");
            EXPECT_TRUE(check(c.decide)) << key;
        }
    EXPECT_EQ(parsed("[decide]\nnet_rate = 1000000\n").decide.net_rate, (Limit{1'000'000, 5'000'000}));
    EXPECT_EQ(parsed("[decide]\nconnection_rate = 1\n").decide.connections, (Limit{1, 10}));
    for (const char* key : {"stray_ticket", "shape_ticket", "rate_ticket"})
        for (const char* value : {"100ms", "1d"})
            parsed(std::string("[decide]\n") + key + " = \"" + value + "\"\n");
    parsed("[decide]\ndeny = \"1s\"\n");
    parsed("[decide]\nproven_window = \"1s\"\n");
    parsed("[decide]\nshape_normal = 1000000\n");
    parsed("[decide]\ndeny_set4 = \"" + std::string(31, 'x') + "\"\n");
}

TEST(ConfigEscalation, WrongDecide) {
    struct Case {
        std::string line;
        const char* message;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"dry_run = 1", "test.toml:2:11: decide.dry_run: an integer where true or false belongs"},
             {"proven_rate = 0", "decide.proven_rate: 0 is out of range; 1 to 1000000 is allowed"},
             {"host_rate = 1000001", "decide.host_rate: 1000001 is out of range"},
             {"net_rate = 1.5", "decide.net_rate: a fraction where an integer"},
             {"shape_rate = -4", "decide.shape_rate: -4 is out of range"},
             {"shape_normal = 0", "decide.shape_normal: 0 is out of range; 1 to 1000000"},
             {"stray_ticket = \"99ms\"",
              "test.toml:2:16: decide.stray_ticket: '99ms' is out of range; a string "
              "from \"100ms\" to \"1d\""},
             {"shape_ticket = \"25h\"", "decide.shape_ticket: '25h' is out of range"},
             {"rate_ticket = \"soon\"", "decide.rate_ticket: 'soon' is no duration"},
             {"connection_rate = true", "decide.connection_rate: true or false where an integer"},
             {"fragment = \"pass\"", "decide.fragment: 'pass' is unknown; allowed are default, accept, drop"},
             {"malformed = \"escalate\"", "decide.malformed: 'escalate' is unknown"},
             {"accept_mark = -1", "decide.accept_mark: -1 is out of range; 0 to 4294967295"},
             {"accept_mark = 0x20", "accept_mark is 0x20, of which accept_mask (0x0) lets only 0x0 through"},
             {"accept_mask = 0x8000", "accept_mask is 0x8000; the bits 0xff00 are synward's own"},
             {"deny_set4 = \"\"", "no ipset can have this name"},
             {"record = \"events.trace\"",
              "test.toml:2:10: decide.record: 'events.trace' is no file; its whole path is wanted, from /"},
             {"record = \"/var/log/\"", "decide.record: '/var/log/' is no file"},
             {"record_limit = 0", "decide.record_limit: 0 is out of range; 1 to 1024 is allowed"},
             {"deny_set4 = \"a b\"",
              "test.toml:2:13: decide.deny_set4: no ipset can have this name; 1 to 31 "
              "characters without space are allowed"},
             {"deny_set6 = \"" + std::string(32, 'x') + "\"",
              "decide.deny_set6: no ipset can have this name"},
             {"deny_set6 = \"a\\u0000b\"", "decide.deny_set6: no ipset can have this name"},
             {"deny_set6 = \"-exist\"", "decide.deny_set6: no ipset can have this name"},
             {"deny_set4 = \"\\\"x\"", "decide.deny_set4: no ipset can have this name"},
             {"deny_set4 = 4", "decide.deny_set4: an integer where a string belongs"},
             {"deny = \"500ms\"",
              "test.toml:2:8: decide.deny: '500ms' is out of range; a string from \"1s\""},
             {"proven_window = \"200ms\"",
              "decide.proven_window: '200ms' is out of range; a string from \"1s\""},
             {"dryrun = true", "test.toml:2:1: decide.'dryrun': unknown key; did you mean 'dry_run'?"}})
        EXPECT_THAT(refusal("[decide]\n" + c.line + "\n"), HasSubstr(c.message)) << c.line;
    EXPECT_THAT(refusal("decide = []\n"), HasSubstr("write [decide]"));
}

TEST(ConfigEscalation, KeysOfAService) {
    const Config c = parsed(
        "[defaults]\nodd_syn = \"drop\"\nescalate_rate = 50\nescalate_default = \"pass\"\n" + service("") +
        "[[service]]\nname = \"b\"\nport = 81\nodd_syn = \"escalate\"\nescalate_rate = 7\n"
        "escalate_default = \"drop\"\n"
        "[[service]]\nname = \"c\"\nport = 82\nodd_syn = \"answer\"\n");
    ASSERT_EQ(c.services.size(), 3u);
    EXPECT_EQ(c.services[0].settings.odd_syn, SW_ACTION_DROP);
    EXPECT_EQ(c.services[0].settings.escalate_rate, 50u);
    EXPECT_EQ(c.services[0].settings.escalate_default, SW_ACTION_PASS);
    EXPECT_EQ(c.services[1].settings.odd_syn, SW_ACTION_ESCALATE);
    EXPECT_EQ(c.services[1].settings.escalate_rate, 7u);
    EXPECT_EQ(c.services[1].settings.escalate_default, SW_ACTION_DROP);
    EXPECT_EQ(c.services[2].settings.odd_syn, SW_ACTION_PASS);
}

TEST(ConfigEscalation, WrongKeysOfAService) {
    EXPECT_THAT(refusal(service("odd_syn = \"pass\"\n")),
                AllOf(HasSubstr("test.toml:4:11: service.web.odd_syn: 'pass' is unknown"),
                      HasSubstr("allowed are answer, drop, escalate")));
    EXPECT_THAT(refusal(service("escalate_rate = 0\n")),
                HasSubstr("test.toml:4:17: service.web.escalate_rate: 0 is out of range; 1 to 10000000"));
    EXPECT_THAT(refusal(service("escalate_rate = 10000001\n")), HasSubstr("1 to 10000000 is allowed"));
    EXPECT_THAT(
        refusal("[defaults]\nescalate_default = \"escalate\"\n"),
        HasSubstr(
            "test.toml:2:20: defaults.escalate_default: 'escalate' is unknown; allowed are pass, drop"));
    EXPECT_THAT(refusal(service("escalate_default = \"accept\"\n")), HasSubstr("allowed are pass, drop"));
    EXPECT_THAT(refusal(service("od_syn = \"drop\"\n")), HasSubstr("did you mean 'odd_syn'?"));
}

// The daemon asks for packets exactly where somebody sends them.
TEST(ConfigEscalation, EscalatesWhereAnythingGoesUp) {
    for (const char* key : {"stray", "fragment", "malformed", "odd_syn"}) {
        const std::string line = std::string(key) + " = \"escalate\"\n";
        EXPECT_TRUE(parsed(service(line)).escalates()) << key;
        EXPECT_FALSE(parsed("[escalation]\ntransport = \"none\"\n" + service(line)).escalates()) << key;
        // By inheritance too; without a service only what has no port can come up.
        EXPECT_TRUE(parsed("[defaults]\n" + line + service("")).escalates()) << key;
        const bool without_port = key == std::string("fragment") || key == std::string("malformed");
        EXPECT_EQ(parsed("[defaults]\n" + line).escalates(), without_port) << key;
    }
    EXPECT_FALSE(parsed(service("stray = \"drop\"\nodd_syn = \"drop\"\n")).escalates());
}

// What the program gets: budgets in ticks of one CPU, the interface's own for what has no port.
TEST(ConfigEscalation, IsCompiledIntoThePolicy) {
    const Config config = parsed(
        "[defaults]\nescalate_rate = 100\nescalate_default = \"pass\"\n"
        "fragment = \"escalate\"\n" +
        service("odd_syn = \"escalate\"\nescalate_rate = 400\n"
                "escalate_default = \"drop\"\n"));
    HostFacts host;
    host.hz = 1000;
    host.cpus = 4;
    Interface interface;
    interface.mtu = 1500;
    interface.rx_queues = 2;
    const auto policy = compile_policy(config, host, interface, nullptr);
    ASSERT_TRUE(policy) << policy.error().message;
    const sw_service& web = policy->services[policy->find("web")];
    EXPECT_EQ(web.odd_syn, SW_ACTION_ESCALATE);
    EXPECT_EQ(web.escalate_default, SW_ACTION_DROP);
    EXPECT_EQ(web.escalate.interval, (1000u << SW_TICK_SHIFT) / 200) << "400 a second on two CPUs";
    EXPECT_GT(web.escalate.tolerance, 0u) << "0 would be no limit";
    const sw_service& none = policy->services[0];
    EXPECT_EQ(none.escalate_default, SW_ACTION_PASS);
    EXPECT_EQ(none.escalate.interval, (1000u << SW_TICK_SHIFT) / 50);
    EXPECT_TRUE(policy->config.flags & SW_FLAG_REPORT) << "deciders learn";

    const auto quiet = compile_policy(parsed(service("")), host, interface, nullptr);
    ASSERT_TRUE(quiet);
    EXPECT_FALSE(quiet->config.flags & SW_FLAG_REPORT) << "nobody learns, nothing is reported";
}

}  // namespace
}  // namespace synward
