// SPDX-License-Identifier: GPL-2.0-or-later
// The marker of the kernel module, driven by libsynward: for guests, where it is loaded.
#include "lib/classify/module_marker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/escalation/module.h"
#include "namespace.h"

namespace synward {
namespace {

using testing::HasSubstr;

class ModuleMarkerTest : public testing::Test {
  protected:
    void SetUp() override {
        run("ipset create one hash:ip skbinfo");
        run("ipset create two hash:net family inet6 skbinfo");
        run("ipset create plain hash:ip");
    }
    static BoundSet set(std::string name) {
        BoundSet set;
        set.name = std::move(name);
        return set;
    }
    static bool has(std::vector<BoundSet> sets) {
        const auto bound = module_has_bound(sets);
        EXPECT_TRUE(bound) << bound.error().message;
        return bound && *bound;
    }

    TestNamespace space_;
};

TEST_F(ModuleMarkerTest, BindsInOrderAndSaysSo) {
    EXPECT_FALSE(has({})) << "it marks nothing";
    BoundSet wide = set("one");
    wide.dim = 2;
    wide.flags = 3;
    ASSERT_TRUE(bind_module(std::vector{set("two"), wide}));
    EXPECT_TRUE(has({set("two"), wide}));
    EXPECT_FALSE(has({wide, set("two")}));
    EXPECT_FALSE(has({set("two")}));
    EXPECT_FALSE(has({set("two"), set("one")}));
    EXPECT_FALSE(has({}));
    ASSERT_TRUE(bind_module({}));
    EXPECT_TRUE(has({})) << "it marks by the class of handshakes";
    ASSERT_TRUE(unbind_module());
    EXPECT_FALSE(has({}));
    ASSERT_TRUE(unbind_module());
}

TEST_F(ModuleMarkerTest, ARefusalNamesTheSetAndChangesNothing) {
    ASSERT_TRUE(bind_module(std::vector{set("one")}));
    const auto gone = bind_module(std::vector{set("one"), set("gone"), set("two")});
    ASSERT_FALSE(gone);
    EXPECT_THAT(gone.error().message, HasSubstr("'gone'"));
    EXPECT_NE(gone.error().code, ErrorCode::missing);
    const auto plain = bind_module(std::vector{set("two"), set("plain")});
    ASSERT_FALSE(plain);
    EXPECT_THAT(plain.error().message, HasSubstr("'plain'"));
    EXPECT_THAT(plain.error().message, HasSubstr("skbinfo"));
    EXPECT_FALSE(bind_module(std::vector{set(std::string(32, 'x'))}));
    EXPECT_FALSE(bind_module(std::vector(SW_NL_SETS_MAX + 1, set("one"))));
    EXPECT_TRUE(has({set("one")}));
    ASSERT_TRUE(bind_module(std::vector(SW_NL_SETS_MAX, set("one"))));
    EXPECT_TRUE(has(std::vector(SW_NL_SETS_MAX, set("one"))));
    ASSERT_TRUE(unbind_module());
}

}  // namespace
}  // namespace synward
