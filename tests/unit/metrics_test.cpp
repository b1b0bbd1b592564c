// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "lib/reasons.h"

namespace synward {
namespace {

using nlohmann::json;

const json stats = json::parse(R"({
  "interfaces": [{"interface": "eth0", "services": [
    {"index": 0, "name": null, "packets": {"not_tcp": 7}},
    {"index": 1, "name": "web", "packets": {"syn_answered": 5, "ack_validated": 2}}]}],
  "module": {"ring_held": 3}})");
const json status = json::parse(R"({
  "daemon": {"version": "1.2", "uptime": 4, "reload_error": "no", "interfaces": [
    {"interface": "eth0", "state": "protecting"}, {"interface": "eth1", "state": "waiting"}]},
  "interfaces": [{"interface": "eth0", "memory_bytes": 4096, "tc": true, "metadata": false,
    "sources": {"deny": 2, "allow": 1, "check": 0, "capacity": 100},
    "services": [{"name": "web", "armed": true, "armings": 3, "syn_rate": 9, "mode": "cookie", "delivery": "reqsk"}]}],
  "escalation": {"running": true, "tickets_written": 6, "workers": [
    {"received": 8, "verdicts": 8, "lost": 1, "decisions": {"shape_flood": 4}}, {"received": 2}]},
  "mirror": {"changes": 11, "drift": 1, "sets": [{"name": "a\"b", "entries": 12, "memory": 640}],
    "interfaces": [{"interface": "eth0", "entries": 12, "overwritten": 0}]},
  "classification": {"restored": 1, "problems": ["x", "y"], "remark": {"changed": 13}}})");

// Value by "name{labels}".
std::map<std::string, std::string> lines(const std::string& text) {
    std::map<std::string, std::string> values;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        const std::size_t space = line.rfind(' ');
        if (line[0] != '#') values[line.substr(0, space)] = line.substr(space + 1);
    }
    return values;
}

TEST(Metrics, SayWhatStatusAndStatsSay) {
    const auto values = lines(metrics_text(metric_families(status, stats)));
    const auto is = [&](const char* name, const char* value) {
        const auto found = values.find(name);
        ASSERT_NE(found, values.end()) << name;
        EXPECT_EQ(found->second, value) << name;
    };
    is(R"(synward_packets_total{interface="eth0",service="web",reason="syn_answered",action="tx"})", "5");
    is(R"(synward_packets_total{interface="eth0",service="",reason="not_tcp",action="pass"})", "7");
    is(R"(synward_packets_total{interface="eth0",service="web",reason="source_denied",action="drop"})", "0");
    is(R"(synward_module_packets_total{reason="ring_held"})", "3");
    is(R"(synward_interface_protected{interface="eth0"})", "1");
    is(R"(synward_interface_protected{interface="eth1"})", "0");
    is("synward_reload_failed", "1");
    is(R"(synward_service_armed{interface="eth0",service="web"})", "1");
    is(R"(synward_service_info{interface="eth0",service="web",mode="cookie",delivery="reqsk"})", "1");
    is(R"(synward_sources{interface="eth0",fate="deny"})", "2");
    is("synward_tickets_written_total", "6");
    is(R"(synward_escalated_packets_total{worker="1"})", "2");
    is(R"(synward_decisions_total{worker="0",reason="shape_flood"})", "4");
    is(R"(synward_set_entries{set="a\"b"})", "12");
    is("synward_classification_problems", "2");
    is("synward_remarked_connections_total", "13");
}

TEST(Metrics, EachFamilyIsThereOnceWithTypeAndHelp) {
    std::set<std::string> names;
    for (const auto& family : metric_families(status, stats)) {
        EXPECT_TRUE(names.insert(family.name).second) << family.name;
        EXPECT_FALSE(family.help.empty()) << family.name;
        EXPECT_FALSE(family.metric.empty()) << family.name;
        const bool counts = family.name.ends_with("_total");
        EXPECT_EQ(family.type == prometheus::MetricType::Counter, counts) << family.name;
    }
    EXPECT_TRUE(names.contains("synward_packets_total"));
}

TEST(Metrics, EveryReasonIsThereFromTheStart) {
    std::set<std::string> seen;
    for (const auto& family : metric_families(status, stats))
        if (family.name == "synward_packets_total")
            for (const auto& metric : family.metric)
                for (const auto& label : metric.label)
                    if (label.name == "reason") seen.insert(label.value);
    for (const Reason& reason : reasons)
        EXPECT_EQ(seen.contains(std::string(reason.name)), reason.action != ReasonAction::RING)
            << reason.name;
}

TEST(Metrics, WhatIsNotThereGivesNothing) {
    EXPECT_TRUE(metric_families(json::object(), json::object()).empty());
    EXPECT_TRUE(metric_families(json(), json()).empty());
    for (const auto& family : metric_families(json::object(), stats))
        EXPECT_TRUE(family.name == "synward_packets_total" || family.name == "synward_module_packets_total")
            << family.name;
}

}  // namespace
}  // namespace synward
