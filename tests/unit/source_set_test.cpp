// SPDX-License-Identifier: GPL-2.0-or-later
// The source sets in the maps.
#include <bpf/bpf.h>

#include <cstring>

#include "fixture.h"
#include "lib/abi/maps.h"
#include "lib/maps.h"

namespace synward {
namespace {

class SourceSetTest : public InstanceTest {
  protected:
    static std::vector<Prefix> prefixes(std::initializer_list<const char*> texts) {
        std::vector<Prefix> list;
        for (const char* text : texts) list.push_back(*Prefix::parse(text));
        return list;
    }
    static std::vector<std::string> fates(const CompiledPolicy& policy) {
        std::vector<std::string> list;
        for (const SourceEntry& e : policy.sources)
            list.push_back((e.fate == SW_FATE_DENY ? "-" : "+") + e.prefix.to_string());
        std::sort(list.begin(), list.end());
        return list;
    }
    sw_gate gate(const Instance& instance) {
        return must(MappedArray<sw_memory>::create(instance.map_fd("sw_memory"), 1, "sw_memory"))
            .data()
            ->gate;
    }
};

TEST_F(SourceSetTest, AreReadBackAndReplacedAsAWhole) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1", "203.0.113.0/24", "2001:db8::/32"});
    config_.sources.allow = prefixes({"2001:db8::1", "198.18.0.0/15"});
    Instance instance = open();
    apply(instance);
    EXPECT_THAT(fates(must(instance.read_policy())),
                testing::ElementsAre("+198.18.0.0/15", "+2001:db8::1", "-192.0.2.1", "-2001:db8::/32",
                                     "-203.0.113.0/24"));
    EXPECT_EQ(instance.config().fate_sets,
              static_cast<unsigned>(SW_SET_EXACT4 | SW_SET_EXACT6 | SW_SET_PREFIX4 | SW_SET_PREFIX6));

    config_.sources.deny = prefixes({"198.18.0.0/15"});
    config_.sources.allow = prefixes({"192.0.2.1"});
    apply(instance);
    const CompiledPolicy now = must(instance.read_policy());
    EXPECT_THAT(fates(now), testing::ElementsAre("+192.0.2.1", "-198.18.0.0/15"));
    EXPECT_EQ(now.config.fate_sets, static_cast<unsigned>(SW_SET_EXACT4 | SW_SET_PREFIX4));
    const sw_gate wanted = build_gate(now.sources, now.config.hash_key);
    const sw_gate found = gate(instance);
    EXPECT_EQ(std::memcmp(&found, &wanted, sizeof wanted), 0) << "the gate has no bits of what is gone";

    config_.sources = {};
    apply(instance);
    EXPECT_TRUE(must(instance.read_policy()).sources.empty());
    EXPECT_EQ(instance.config().fate_sets, 0u);
}

TEST_F(SourceSetTest, ASetThatIsTooLargeLeavesTheOldPolicy) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1"});
    Instance instance = open();
    apply(instance);
    config_.services[0].ports = {8080};
    for (std::uint32_t i = 0; i <= SW_SOURCES; i++) {
        Prefix p{.length = 32};
        p.address.bytes = {198, static_cast<std::uint8_t>(18 + (i >> 16)), static_cast<std::uint8_t>(i >> 8),
                           static_cast<std::uint8_t>(i)};
        config_.sources.deny.push_back(p);
    }
    const CompiledPolicy previous = must(instance.read_policy());
    const auto refused = instance.apply(compiled(&previous));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::config);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("room for 131072 entries"));
    const CompiledPolicy now = must(instance.read_policy());
    EXPECT_THAT(fates(now), testing::ElementsAre("-192.0.2.1"));
    EXPECT_NE(now.ports[80], 0);
    EXPECT_EQ(now.ports[8080], 0);
}

}  // namespace
}  // namespace synward
