// SPDX-License-Identifier: GPL-2.0-or-later
// The module's messages, as it would send them; the module itself is tested in guests.
#include "lib/escalation/module.h"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "lib/escalation/open.h"

namespace synward {
namespace {

class Message {
  public:
    explicit Message(std::uint8_t command) : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = 33;
        static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(header_, sizeof(genlmsghdr)))->cmd = command;
    }
    Message& u8(std::uint16_t type, std::uint8_t value) {
        return (mnl_attr_put_u8(header_, type, value), *this);
    }
    Message& u16(std::uint16_t type, std::uint16_t value) {
        return (mnl_attr_put_u16(header_, type, value), *this);
    }
    Message& u32(std::uint16_t type, std::uint32_t value) {
        return (mnl_attr_put_u32(header_, type, value), *this);
    }
    Message& u64(std::uint16_t type, std::uint64_t value) {
        return (mnl_attr_put_u64(header_, type, value), *this);
    }
    Message& text(std::uint16_t type, const char* value) {
        return (mnl_attr_put_strz(header_, type, value), *this);
    }
    Message& begin(std::uint16_t type) { return (nest_ = mnl_attr_nest_start(header_, type), *this); }
    Message& end() { return (mnl_attr_nest_end(header_, nest_), *this); }
    nlmsghdr* raw() { return header_; }
    operator const nlmsghdr*() const { return header_; }

  private:
    alignas(nlmsghdr) std::array<char, 1024> buffer_{};
    nlmsghdr* header_;
    nlattr* nest_ = nullptr;
};

TEST(ModuleMessage, Status) {
    Message message(SW_NL_GET);
    message.u32(SW_NL_A_ABI, 1)
        .text(SW_NL_A_VERSION, "0.1.0")
        .begin(SW_NL_A_POLICY)
        .u8(SW_NL_POLICY_FAIL, SW_RING_FAIL_DROP)
        .u32(SW_NL_POLICY_SLOTS, 4096)
        .u64(SW_NL_POLICY_BYTES, 1ULL << 33)
        .u32(SW_NL_POLICY_DEADLINE, 500)
        .end();
    const auto status = read_module_status(message);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->abi, 1u);
    EXPECT_EQ(status->version, "0.1.0");
    EXPECT_EQ(status->policy.fail, SW_RING_FAIL_DROP);
    EXPECT_EQ(status->policy.slots, 4096u);
    EXPECT_EQ(status->policy.bytes, 1ULL << 33);
    EXPECT_EQ(status->policy.deadline_ms, 500u);
}

TEST(ModuleMessage, AStatusOfAnotherFormIsRefused) {
    EXPECT_FALSE(read_module_status(Message(SW_NL_GET).text(SW_NL_A_VERSION, "0.1.0")));
    EXPECT_FALSE(read_module_status(Message(SW_NL_GET).u8(SW_NL_A_ABI, 1)));
    EXPECT_FALSE(read_module_status(Message(SW_NL_GET)
                                        .u32(SW_NL_A_ABI, 1)
                                        .begin(SW_NL_A_POLICY)
                                        .u8(SW_NL_POLICY_FAIL, SW_RING_FAILS)
                                        .end()));
    EXPECT_FALSE(read_module_status(
        Message(SW_NL_GET).u32(SW_NL_A_ABI, 1).begin(SW_NL_A_POLICY).u16(SW_NL_POLICY_SLOTS, 1).end()));
    // what a later version adds is no obstacle
    EXPECT_TRUE(read_module_status(Message(SW_NL_GET).u32(SW_NL_A_ABI, 1).u64(SW_NL_ATTRIBUTES + 3, 1)));
}

TEST(ModuleMessage, Sets) {
    Message message(SW_NL_GET_BOUND);
    nlattr* list = mnl_attr_nest_start(message.raw(), SW_NL_A_SETS);
    message.begin(SW_NL_A_SET)
        .text(SW_NL_SET_NAME, "blocked")
        .u8(SW_NL_SET_DIM, 2)
        .u8(SW_NL_SET_FLAGS, 3)
        .u16(SW_NL_SET_INDEX, 7)
        .end()
        .begin(SW_NL_A_SET)
        .text(SW_NL_SET_NAME, "friends")
        .end();
    mnl_attr_nest_end(message.raw(), list);
    EXPECT_EQ(read_module_binding(message), (ModuleBinding{true, {{"blocked", 2, 3, 7}, {"friends"}}}));
    EXPECT_EQ(read_module_binding(Message(SW_NL_GET_BOUND).begin(SW_NL_A_SETS).end()),
              (ModuleBinding{true, {}}));
    EXPECT_EQ(read_module_binding(Message(SW_NL_GET_BOUND)), ModuleBinding{});
}

TEST(ModuleMessage, SetsOfAnotherFormAreRefused) {
    EXPECT_FALSE(read_module_binding(Message(SW_NL_GET_BOUND).u8(SW_NL_A_SETS, 1)));
    Message nameless(SW_NL_GET_BOUND);
    nlattr* list = mnl_attr_nest_start(nameless.raw(), SW_NL_A_SETS);
    nameless.begin(SW_NL_A_SET).u8(SW_NL_SET_DIM, 1).end();
    mnl_attr_nest_end(nameless.raw(), list);
    EXPECT_FALSE(read_module_binding(nameless));
}

TEST(ModuleMessage, Ring) {
    Message message(SW_NL_GET_RINGS);
    message.begin(SW_NL_A_RING)
        .u16(SW_NL_RING_INDEX, 1)
        .u16(SW_NL_RING_RINGS, 2)
        .u8(SW_NL_RING_MODE, SW_RING_COPY)
        .u8(SW_NL_RING_FANOUT, SW_RING_FANOUT_FLOW)
        .u8(SW_NL_RING_FAIL, SW_RING_FAIL_DROP)
        .u32(SW_NL_RING_SLOTS, 64)
        .u32(SW_NL_RING_HELD, 3)
        .u64(SW_NL_RING_BYTES, 4000)
        .u64(SW_NL_RING_PUBLISHED, 1ULL << 40)
        .u64(SW_NL_RING_LOST, 7)
        .u32(SW_NL_RING_PID, 1234)
        .end();
    const auto ring = read_ring_status(message);
    ASSERT_TRUE(ring);
    EXPECT_EQ(ring->ring, 1);
    EXPECT_EQ(ring->rings, 2);
    EXPECT_EQ(ring->mode, SW_RING_COPY);
    EXPECT_EQ(ring->fanout, SW_RING_FANOUT_FLOW);
    EXPECT_EQ(ring->fail, SW_RING_FAIL_DROP);
    EXPECT_EQ(ring->slots, 64u);
    EXPECT_EQ(ring->held, 3u);
    EXPECT_EQ(ring->bytes, 4000u);
    EXPECT_EQ(ring->published, 1ULL << 40);
    EXPECT_EQ(ring->lost, 7u);
    EXPECT_EQ(ring->pid, 1234u);
    EXPECT_FALSE(read_ring_status(Message(SW_NL_GET_RINGS)));
    EXPECT_FALSE(read_ring_status(
        Message(SW_NL_GET_RINGS).begin(SW_NL_A_RING).u8(SW_NL_RING_MODE, SW_RING_MODES).end()));
}

TEST(ModuleMessage, CountersThatAreNotSentAreZero) {
    Message message(SW_NL_GET_COUNTERS);
    message.begin(SW_NL_A_COUNTERS).u64(SW_REASON_RING_HELD + 1, 12).u64(SW_REASON_COUNT + 40, 99).end();
    const auto counters = read_module_counters(message);
    ASSERT_TRUE(counters);
    EXPECT_EQ((*counters)[SW_REASON_RING_HELD], 12u);
    EXPECT_EQ((*counters)[SW_REASON_RING_STALE], 0u);
    EXPECT_TRUE(read_module_counters(Message(SW_NL_GET_COUNTERS).begin(SW_NL_A_COUNTERS).end()));
    EXPECT_FALSE(read_module_counters(Message(SW_NL_GET_COUNTERS)));
}

TEST(ModuleMessage, Event) {
    Message message(SW_NL_EVENT);
    message.u8(SW_NL_A_EVENT, SW_NL_EVENT_OVERFLOW).begin(SW_NL_A_RING).u16(SW_NL_RING_INDEX, 3).end();
    const auto event = read_module_event(message);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->event, SW_NL_EVENT_OVERFLOW);
    EXPECT_EQ(event->ring.ring, 3);
    EXPECT_FALSE(read_module_event(Message(SW_NL_EVENT).u8(SW_NL_A_EVENT, SW_NL_EVENTS)));
    EXPECT_FALSE(read_module_event(Message(SW_NL_EVENT)));
}

TEST(ModuleControl, WithoutTheModuleItSaysWhatToDo) {
    const auto control = ModuleControl::open();
    if (control) GTEST_SKIP() << "the module is loaded here";
    EXPECT_EQ(control.error().code, ErrorCode::missing);
    EXPECT_NE(control.error().message.find("modprobe synward"), std::string::npos);
}

TEST(OpenTransport, SharesOutOfRangeAreRefused) {
    EXPECT_EQ(open_transport(TransportChoice::automatic, 0, 0, {}).error().code, ErrorCode::usage);
    EXPECT_EQ(open_transport(TransportChoice::automatic, 2, 2, {}).error().code, ErrorCode::usage);
    EXPECT_EQ(open_transport(TransportChoice::ring, 0, SW_RINGS_MAX + 1, {}).error().code, ErrorCode::usage);
    EXPECT_EQ(open_transport(TransportChoice::nfqueue, 0, 2, {.first_queue = 65535}).error().code,
              ErrorCode::usage);
}

TEST(OpenTransport, TheRingByNameIsNotReplaced) {
    TransportOptions options;
    options.ring.device = "/dev/synward-that-is-not-there";
    const auto opened = open_transport(TransportChoice::ring, 0, 1, options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, ErrorCode::missing);
}

TEST(OpenTransport, ChoicesHaveTheWordsOfTheConfig) {
    EXPECT_EQ(choice_name(TransportChoice::automatic), "auto");
    EXPECT_EQ(choice_name(TransportChoice::ring), "ring");
    EXPECT_EQ(choice_name(TransportChoice::nfqueue), "nfqueue");
}

}  // namespace
}  // namespace synward
