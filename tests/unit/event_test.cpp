// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

#include "lib/json.h"

namespace synward {
namespace {

TEST(Events, ASampleIsDecoded) {
    sw_event raw{};
    raw.time = 12345;
    raw.type = SW_EVENT_SAMPLE;
    raw.service = 3;
    raw.reason = SW_REASON_STRAY_ACK;
    raw.family = SW_IPV4;
    const auto from = *Address::parse("192.0.2.7");
    const auto to = *Address::parse("198.18.0.1");
    std::memcpy(raw.source, from.bytes.data(), 4);
    std::memcpy(raw.destination, to.bytes.data(), 4);
    raw.source[10] = 0xee;  // beyond an IPv4 address nothing is believed
    raw.source_port = htons(40000);
    raw.destination_port = htons(443);
    const auto event = decode_event(&raw, sizeof raw);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->source, from);
    EXPECT_EQ(event->destination, to);

    CompiledPolicy policy;
    std::strcpy(policy.services[3].name, "web");
    const auto json = event_json(*event, &policy);
    EXPECT_EQ(json["event"], "sample");
    EXPECT_EQ(json["name"], "web");
    EXPECT_EQ(json["reason"], "stray_ack");
    EXPECT_EQ(json["source"], "192.0.2.7");
    EXPECT_EQ(json["destination_port"], 443);
    EXPECT_FALSE(json.contains("syn_rate"));
}

TEST(Events, ArmingCarriesTheRate) {
    sw_event raw{};
    raw.type = SW_EVENT_ARMED;
    raw.service = 1;
    raw.rate = 54321;
    const auto json = event_json(*decode_event(&raw, sizeof raw));
    EXPECT_EQ(json["event"], "armed");
    EXPECT_EQ(json["syn_rate"], 54321);
    EXPECT_FALSE(json.contains("source"));
}

TEST(Events, WhatThisVersionDoesNotKnowIsLeftOut) {
    sw_event raw{};
    raw.type = SW_EVENT_COUNT;
    EXPECT_FALSE(decode_event(&raw, sizeof raw));
    raw.type = SW_EVENT_SAMPLE;
    raw.family = SW_FAMILIES;
    EXPECT_FALSE(decode_event(&raw, sizeof raw));
    raw.family = SW_IPV6;
    EXPECT_TRUE(decode_event(&raw, sizeof raw));
    EXPECT_FALSE(decode_event(&raw, sizeof raw - 1));
}

}  // namespace
}  // namespace synward
