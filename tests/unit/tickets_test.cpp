// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's decisions in the program's map: written with a lifetime, read back by source.
#include "lib/tickets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>

#include "fixture.h"
#include "lib/abi/maps.h"
#include "lib/decide/decision.h"
#include "lib/ticks.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

class TicketsTest : public InstanceTest {
  protected:
    TicketsTest() {
        add("web", {80});
        add("mail", {25});
        instance_.emplace(open());
        apply(*instance_);
        policy_ = must(instance_->read_policy());
    }
    ~TicketsTest() override {
        instance_.reset();
        (void)Instance::unload(space_.here());
    }
    [[nodiscard]] unsigned service(const char* name) const { return policy_.find(name); }
    static Ticket ticket(const std::string& source, unsigned service, sw_doubt doubt, sw_action action,
                         std::chrono::milliseconds lifetime) {
        const Address address = *Address::parse(source);
        Ticket result{.key = {}, .action = action, .decider = 2, .lifetime = lifetime};
        std::memcpy(result.key.subject, address.bytes.data(), address.bits() / 8);
        result.key.doubt = static_cast<__u8>(doubt);
        result.key.family = static_cast<__u8>(address.family);
        result.key.service = static_cast<__u16>(service);
        return result;
    }
    void write(const std::vector<Ticket>& tickets) { must(instance_->write_tickets(tickets)); }
    std::vector<TicketView> of(const std::string& source) {
        return must(instance_->tickets_of(*Address::parse(source)));
    }

    std::optional<Instance> instance_;
    CompiledPolicy policy_;
};

TEST_F(TicketsTest, AreReadBackAsWritten) {
    write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 10s),
           ticket("198.18.0.7", service("mail"), SW_DOUBT_SYN, SW_ACTION_PASS, 60s),
           ticket("2001:db8::7", service("web"), SW_DOUBT_FRAGMENT, SW_ACTION_DROP, 10s)});
    auto found = of("198.18.0.7");
    ASSERT_EQ(found.size(), 2u);
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.doubt < b.doubt; });
    EXPECT_EQ(found[0].service, service("web"));
    EXPECT_EQ(found[0].doubt, SW_DOUBT_STRAY);
    EXPECT_EQ(found[0].action, SW_ACTION_DROP);
    EXPECT_EQ(found[0].decider, 2);
    EXPECT_LE(found[0].left, 10s + 20ms);  // one tick is added: never shorter than asked for
    EXPECT_GT(found[0].left, 9s);
    EXPECT_EQ(found[1].service, service("mail"));
    EXPECT_EQ(found[1].doubt, SW_DOUBT_SYN);
    EXPECT_EQ(found[1].action, SW_ACTION_PASS);
    EXPECT_GT(found[1].left, 59s);

    ASSERT_EQ(of("2001:db8::7").size(), 1u);
    EXPECT_EQ(of("2001:db8::7")[0].doubt, SW_DOUBT_FRAGMENT);
    for (const char* other : {"198.18.0.8", "2001:db8::8", "7.0.18.198", "::198.18.0.7"})
        EXPECT_TRUE(of(other).empty()) << other;
}

TEST_F(TicketsTest, EndWithTheirLifetime) {
    write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 100ms)});
    const auto start = std::chrono::steady_clock::now();
    std::chrono::milliseconds left = of("198.18.0.7").at(0).left;
    EXPECT_LE(left, 120ms);
    for (;;) {
        const auto found = of("198.18.0.7");
        const auto age = std::chrono::steady_clock::now() - start;
        if (found.empty()) {
            EXPECT_GE(age, 80ms) << "too early";  // the start was taken after writing
            break;
        }
        EXPECT_LE(found[0].left, left) << "it does not get younger";
        left = found[0].left;
        ASSERT_LT(age, 5s) << "it never ends";
        usleep(2000);
    }
}

// Renewing counts from now; a lifetime of nothing or less is over with its tick.
TEST_F(TicketsTest, ALaterOneReplacesTheEarlier) {
    write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_PASS, 1s)});
    write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 1h)});
    ASSERT_EQ(of("198.18.0.7").size(), 1u);
    EXPECT_EQ(of("198.18.0.7")[0].action, SW_ACTION_DROP);
    EXPECT_GT(of("198.18.0.7")[0].left, 59min);
    for (const auto lifetime : {0ms, -5000ms}) {
        write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, lifetime)});
        usleep(30'000);
        EXPECT_TRUE(of("198.18.0.7").empty()) << lifetime.count();
    }
}

// What the program holds is a tick, so that it compares without a clock.
TEST_F(TicketsTest, AreTicksInTheMap) {
    const Ticket written = ticket("2001:db8::7", service("web"), SW_DOUBT_MALFORMED, SW_ACTION_DROP, 10s);
    write({written});
    const int map = instance_->map_fd("sw_tickets");
    ASSERT_GE(map, 0);
    sw_ticket value{};
    ASSERT_EQ(bpf_map_lookup_elem(map, &written.key, &value), 0);
    auto clock = must(TickClock::create());
    const auto now = must(clock.now());
    const std::uint64_t left = sw_ticket_until(&value) - now;
    EXPECT_LE(left, 10 * clock.hz() + 1);
    EXPECT_GE(left, 9 * clock.hz());
    EXPECT_EQ(value.action, SW_ACTION_DROP);
    EXPECT_EQ(value.decider, 2);
}

TEST_F(TicketsTest, ThoseOfShapesAreNobodys) {
    Ticket shape = ticket("198.18.0.7", service("web"), SW_DOUBT_SHAPE, SW_ACTION_DROP, 10s);
    write({shape});
    EXPECT_TRUE(of("198.18.0.7").empty());
}

TEST_F(TicketsTest, AreListed) {
    EXPECT_TRUE(must(instance_->tickets()).empty());
    Ticket shape = ticket("0.0.0.0", service("mail"), SW_DOUBT_SHAPE, SW_ACTION_DROP, 10s);
    const sw_shape subject{.layout = 0x02040801, .header = 40, .hops = 64, .wscale = 7, .family = SW_IPV4};
    std::memcpy(shape.key.subject, &subject, sizeof subject);
    write({shape, ticket("2001:db8::7", service("web"), SW_DOUBT_SYN, SW_ACTION_PASS, 20s),
           ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 10s),
           ticket("198.18.0.8", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 0s)});
    usleep(30'000);  // until that one is over
    const auto found = must(instance_->tickets());
    ASSERT_EQ(found.size(), 3u);
    const auto about = [&](sw_doubt doubt) {
        return *std::find_if(found.begin(), found.end(), [&](const auto& t) { return t.doubt == doubt; });
    };
    EXPECT_EQ(about(SW_DOUBT_STRAY).source.to_string(), "198.18.0.7");
    EXPECT_EQ(about(SW_DOUBT_STRAY).service, service("web"));
    EXPECT_EQ(about(SW_DOUBT_STRAY).action, SW_ACTION_DROP);
    EXPECT_EQ(about(SW_DOUBT_STRAY).decider, 2);
    EXPECT_GT(about(SW_DOUBT_STRAY).left, 9s);
    EXPECT_EQ(about(SW_DOUBT_SYN).source.to_string(), "2001:db8::7");
    EXPECT_EQ(about(SW_DOUBT_SHAPE).shape.layout, subject.layout);
    EXPECT_EQ(about(SW_DOUBT_SHAPE).service, service("mail"));
}

TEST_F(TicketsTest, AreDeletedBySource) {
    const auto tickets = {ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 10s),
                          ticket("198.18.0.7", service("mail"), SW_DOUBT_SYN, SW_ACTION_PASS, 10s),
                          ticket("198.18.0.8", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 10s),
                          ticket("2001:db8::7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 10s),
                          ticket("198.18.0.7", service("web"), SW_DOUBT_SHAPE, SW_ACTION_DROP, 10s)};
    write(tickets);
    EXPECT_EQ(must(instance_->delete_tickets(Prefix::parse("198.18.0.7"))), 2u);
    EXPECT_TRUE(of("198.18.0.7").empty());
    EXPECT_EQ(of("198.18.0.8").size(), 1u);
    EXPECT_EQ(must(instance_->tickets()).size(), 3u);
    EXPECT_EQ(must(instance_->delete_tickets(Prefix::parse("198.18.0.7"))), 0u);
    EXPECT_EQ(must(instance_->delete_tickets(Prefix::parse("2001:db8::/32"))), 1u);
    EXPECT_EQ(must(instance_->delete_tickets(std::nullopt)), 2u);
    EXPECT_TRUE(must(instance_->tickets()).empty());
}

// Ten million sources cannot make the table grow; the program loses the oldest.
TEST_F(TicketsTest, TheTableIsBounded) {
    std::vector<Ticket> many;
    for (unsigned i = 0; i < 3 * SW_TICKETS; ++i) {
        Ticket t = ticket("198.18.0.0", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 1h);
        t.key.subject[0] = htonl(0xc6120000u + i);
        many.push_back(t);
    }
    write(many);
    unsigned count = 0;
    sw_ticket_key key{}, next{};
    const int map = instance_->map_fd("sw_tickets");
    for (int error = bpf_map_get_next_key(map, nullptr, &next); !error;
         error = bpf_map_get_next_key(map, &key, &next)) {
        key = next;
        ++count;
    }
    EXPECT_LE(count, unsigned{SW_TICKETS});
    EXPECT_GE(count, SW_TICKETS / 2u);
    EXPECT_EQ(of("198.19.127.255").size(), 1u) << "the latest is there";
}

TEST_F(TicketsTest, SurviveAPolicyAndAnAdoption) {
    write({ticket("198.18.0.7", service("web"), SW_DOUBT_STRAY, SW_ACTION_DROP, 1h)});
    add("ssh", {22});
    apply(*instance_);
    EXPECT_EQ(of("198.18.0.7").size(), 1u);
    instance_.emplace(find());
    EXPECT_EQ(of("198.18.0.7").size(), 1u) << "another process adopts the program";
}

TEST_F(TicketsTest, NothingToWriteIsFine) {
    write({});
    EXPECT_TRUE(of("198.18.0.7").empty());
}

}  // namespace
}  // namespace synward
