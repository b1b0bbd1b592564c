// SPDX-License-Identifier: GPL-2.0-or-later
// Contents that are changed without being read again, and what the driver hook does within
// one prefix: both beside what doing all of it anew gives.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <random>

#include "lib/sets/contents.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array kMarks{0xdu, 0xau, 0x20u, 0x30u};

class ContentsChangeTest : public testing::Test {
  protected:
    unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
    // Of a small range, so that prefixes overlap.
    Prefix prefix(bool v6, bool host) {
        const auto address = *Address::parse(v6 ? fmt::format("2001:db8::{:x}", below(1024))
                                                : fmt::format("198.18.{}.{}", below(4), below(256)));
        return Prefix::around(address, host ? address.bits() : address.bits() - below(11));
    }
    SetEntry entry(SetKind kind, bool v6) {
        const bool host = kind == SetKind::ip || kind == SetKind::ip_port || kind == SetKind::ip_mark;
        SetEntry entry{.prefix = prefix(v6, host)};
        if (kind == SetKind::ip_port || kind == SetKind::net_port) {
            entry.protocol = below(4) ? 6 : 17;
            entry.port = static_cast<std::uint16_t>(1 + below(4));
        }
        if (kind == SetKind::net_iface) entry.interface = below(2) ? "eth0" : "eth1";
        if (kind == SetKind::ip_mark) entry.packet_mark = below(3) << 8;
        if (kind == SetKind::net) entry.nomatch = below(8) == 0;
        if (below(6)) entry.mark = kMarks[below(kMarks.size())], entry.mask = 0xff;
        return entry;
    }
    static SetHeader header(SetKind kind, bool v6) {
        SetHeader header;
        header.name = "set";
        header.type = set_kind_type(kind);
        header.kind = kind;
        header.family = v6 ? SW_IPV6 : SW_IPV4;
        header.skbinfo = true;
        return header;
    }
    std::shared_ptr<const SetContents> set(SetKind kind, bool v6, unsigned entries) {
        SetBuilder builder(header(kind, v6));
        while (entries--) builder.add(entry(kind, v6));
        return std::move(builder).finish();
    }
    std::mt19937 random_{7};
};

TEST_F(ContentsChangeTest, EqualWhatIsMadeAnew) {
    std::size_t differing = 0, idle = 0;
    for (const SetKind kind : {SetKind::ip, SetKind::net, SetKind::ip_port, SetKind::net_port}) {
        for (const bool v6 : {false, true}) {
            std::map<std::tuple<Prefix, std::uint8_t, std::uint16_t>, SetEntry> model;
            const auto anew = [&] {
                SetBuilder builder(header(kind, v6));
                for (const auto& [place, one] : model) builder.add(one);
                return std::move(builder).finish();
            };
            auto contents = anew();
            for (unsigned round = 0; round < 300; round++) {
                std::vector<SetChange> changes;
                for (unsigned i = below(12); i-- > 0;) {
                    SetChange change{entry(kind, v6), below(3) == 0};
                    // Often what is there, or is about to be.
                    if (!model.empty() && below(3) == 0)
                        change.entry =
                            std::next(model.begin(), below(static_cast<unsigned>(model.size())))->second;
                    changes.push_back(change);
                    const SetEntry& e = change.entry;
                    const std::tuple place(e.prefix, e.protocol, e.port);
                    model.erase(place);
                    if (!change.removed) model.emplace(place, e);
                }
                std::vector<Prefix> changed, wanted;
                const auto after = anew();
                SetContents::difference(*contents, *after, wanted, 1000);
                const auto made = contents->with(changes, changed);
                ASSERT_EQ(changed, wanted);
                ASSERT_EQ(made == nullptr, wanted.empty());
                (made ? differing : idle)++;
                if (!made) continue;
                std::vector<Prefix> left;
                ASSERT_EQ(SetContents::difference(*made, *after, left, 1000), 0u);
                ASSERT_EQ(made->size(), after->size());
                for (unsigned mark = 0; mark < 256; mark++)
                    ASSERT_EQ(made->count(static_cast<std::uint8_t>(mark)),
                              after->count(static_cast<std::uint8_t>(mark)));
                for (unsigned host = 0; host < 32; host++) {
                    const Address source = prefix(v6, true).address;
                    const SetQuery query{source, 6, static_cast<std::uint16_t>(1 + below(4)), "eth0", 0};
                    ASSERT_EQ(made->find(query).answer, after->find(query).answer);
                    ASSERT_EQ(made->find(query).mark, after->find(query).mark);
                }
                contents = made;
            }
        }
    }
    EXPECT_GT(differing, 1000u);
    EXPECT_GT(idle, 50u);
}

TEST_F(ContentsChangeTest, OfSeveralForOnePlaceTheLastHolds) {
    SetBuilder builder(header(SetKind::ip, false));
    const auto empty = std::move(builder).finish();
    SetEntry denied{.prefix = *Prefix::parse("192.0.2.1")};
    denied.mark = 0xd, denied.mask = 0xff;
    SetEntry allowed = denied;
    allowed.mark = 0xa;
    std::vector<Prefix> changed;
    EXPECT_EQ(empty->with(std::vector<SetChange>{{denied, false}, {denied, true}}, changed), nullptr);
    EXPECT_THAT(changed, IsEmpty());
    const auto set =
        empty->with(std::vector<SetChange>{{denied, true}, {denied, false}, {allowed, false}}, changed);
    ASSERT_TRUE(set);
    EXPECT_THAT(changed, ElementsAre(denied.prefix));
    EXPECT_EQ(set->find({denied.prefix.address, 6, 80, "eth0", 0}).mark, 0xa);
    EXPECT_EQ(empty->size(), 0u);
}

TEST_F(ContentsChangeTest, WithinAPrefixTheDriverDoesTheSame) {
    Fates fates;
    ASSERT_TRUE(fates.add({"watch", 0x20, FateVerdict::go_on}));
    std::size_t entries = 0, at_ports = 0;
    for (unsigned round = 0; round < 400; round++) {
        const bool v6 = round % 2;
        std::vector<std::shared_ptr<const SetContents>> sets;
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            constexpr std::array kinds{SetKind::ip,      SetKind::net,      SetKind::net,
                                       SetKind::ip_port, SetKind::net_port, SetKind::net_iface,
                                       SetKind::ip_mark};
            sets.push_back(set(kinds[below(kinds.size())], v6, below(60)));
            if (below(5) == 0) {
                SetHeader list;
                list.kind = SetKind::list;
                SetBuilder builder(list);
                builder.add_member(set(SetKind::net, v6, below(40)));
                builder.add_member(sets.back());
                sets.back() = std::move(builder).finish();
            }
        }
        const SetIndex index(sets);
        const std::vector<std::string> receivers =
            below(2) ? std::vector<std::string>{"eth0"} : std::vector<std::string>{"eth0", "eth1"};
        const auto all = index.at_driver_by_port(fates, receivers);
        ASSERT_TRUE(all);
        for (unsigned i = 0; i < 30; i++) {
            const Prefix within = prefix(v6, below(2));
            std::vector<SourceEntry> wanted;
            for (const SourceEntry& e : *all)
                if (e.prefix.length >= within.length && within.contains(e.prefix.address))
                    wanted.push_back(e);
            const auto found = index.at_driver_within(within, fates, receivers);
            ASSERT_TRUE(found);
            ASSERT_EQ(found->size(), wanted.size()) << within.to_string() << ", round " << round;
            for (std::size_t k = 0; k < wanted.size(); k++) {
                ASSERT_EQ((*found)[k].place(), wanted[k].place());
                ASSERT_EQ((*found)[k].fate, wanted[k].fate);
                at_ports += wanted[k].port != 0;
            }
            entries += wanted.size();
        }
    }
    EXPECT_GT(entries, 10'000u);
    EXPECT_GT(at_ports, 1000u);
}

TEST_F(ContentsChangeTest, WhereTooManyLieInAPrefixAllAreAsCheap) {
    SetBuilder builder(header(SetKind::ip, false));
    for (unsigned i = 0; i < 5000; i++) {
        SetEntry e{.prefix = *Prefix::parse(fmt::format("198.18.{}.{}", i >> 8, i & 255))};
        e.mark = 0xd, e.mask = 0xff;
        builder.add(e);
    }
    const SetIndex index({std::move(builder).finish()});
    EXPECT_FALSE(index.at_driver_within(*Prefix::parse("198.18.0.0/16"), Fates(), {"eth0"}));
    const auto some = index.at_driver_within(*Prefix::parse("198.18.3.0/24"), Fates(), {"eth0"});
    ASSERT_TRUE(some);
    EXPECT_EQ(some->size(), 256u);
}

}  // namespace
}  // namespace synward
