// SPDX-License-Identifier: GPL-2.0-or-later
// A policy as a config file, and back: what is saved and loaded is the same policy.
#include "lib/policy_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "lib/config_text.h"
#include "lib/local_services.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class SavedPolicy : public testing::Test {
  protected:
    SavedPolicy() {
        host_.kernel = "6.12.0";
        host_.hz = 250;
        host_.cpus = 4;
        host_.btf = true;
        host_.reqsk = true;
        interface_.name = "eth0";
        interface_.index = 2;
        interface_.mac = {2, 0, 0, 0, 0, 1};
        interface_.rx_queues = 2;
        for (const char* text : {"192.0.2.1", "192.0.2.9", "2001:db8::1"})
            local_.prefixes.push_back(*Prefix::parse(text));
    }

    ServiceConfig& add(Config& config, const std::string& name, std::vector<std::uint16_t> ports) {
        config.services.push_back({.name = name, .ports = std::move(ports)});
        return config.services.back();
    }

    CompiledPolicy compiled(Config config, const CompiledPolicy* previous = nullptr) {
        fill_local(config.services, local_);
        auto policy = compile_policy(config, host_, interface_, previous);
        EXPECT_TRUE(policy) << (policy ? "" : policy.error().message);
        return policy.value_or(CompiledPolicy{});
    }

    std::string saved(const CompiledPolicy& policy) {
        Config config = config_of(policy, host_, interface_, local_);
        prefer_auto(config, host_);
        return config_text(config);
    }

    // Saved, read as a file and loaded it is what it was; and saved again the same text.
    std::string there_and_back(const Config& config) {
        const CompiledPolicy policy = compiled(config);
        const std::string text = saved(policy);
        const auto read = parse_config(text, "saved");
        EXPECT_TRUE(read) << (read ? "" : read.error().message) << "\n" << text;
        if (!read) return text;
        const CompiledPolicy again = compiled(*read, &policy);
        EXPECT_THAT(differences(policy, again), IsEmpty()) << text;
        EXPECT_EQ(saved(again), text);
        return text;
    }

    HostFacts host_;
    Interface interface_;
    LocalAddresses local_;
};

TEST_F(SavedPolicy, OfBuiltInSettingsIsShort) {
    Config config;
    add(config, "web", {443, 80});
    EXPECT_EQ(there_and_back(config),
              "[daemon]\ninterfaces = [\"eth0\"]\n\n[[service]]\nname = \"web\"\nport = [80, 443]\n");
}

TEST_F(SavedPolicy, TellsEverySettingThatDiffers) {
    Config config;
    config.daemon.gateway = true;
    config.limits.reply_rate = 500'000;
    config.limits.prefix_rate = 0;
    config.defaults.fragment = SW_ACTION_DROP;
    ServiceConfig& web = add(config, "web", {80});
    Settings& s = web.settings;
    s.mode = SW_MODE_COOKIE;
    s.delivery = SW_DELIVERY_SYNPROXY;
    s.stray = SW_ACTION_ESCALATE;
    s.fragment = SW_ACTION_DROP;
    s.malformed = SW_ACTION_PASS;
    s.odd_syn = SW_ACTION_DROP;
    s.escalate_rate = 50;
    s.escalate_default = SW_ACTION_PASS;
    s.arm_rate = 5000;
    s.disarm_rate = 1000;
    s.hold = 5min;
    s.mss = 1200;
    s.wscale = 3;
    s.sack = false;
    s.timestamps = false;
    s.ecn = true;
    web.addresses = {*Address::parse("198.51.100.1"), *Address::parse("2001:db8::7")};
    const std::string text = there_and_back(config);
    for (const char* line :
         {"gateway = true", "reply_rate = 500000", "prefix_rate = 0", "mode = \"cookie\"",
          "stray = \"escalate\"", "fragment = \"drop\"", "malformed = \"pass\"", "odd_syn = \"drop\"",
          "escalate_rate = 50", "escalate_default = \"pass\"", "arm_rate = 5000", "disarm_rate = 1000",
          "hold = \"5m\"", "mss = 1200", "wscale = 3", "sack = false", "timestamps = false", "ecn = true",
          "address = [\"198.51.100.1\", \"2001:db8::7\"]"})
        EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
    // A gateway's `auto` is SYNPROXY.
    EXPECT_THAT(text, Not(HasSubstr("delivery")));
}

TEST(TomlString, IsReadBackWhateverItHolds) {
    for (const std::string text : {"eth0", "a\"b\\c", "\xf0\x9f\x90\xa7", "\xc3\xa9\x7f\x01\n", "\\ud83d"}) {
        const auto config = parse_config("[daemon]\nobject = " + toml_string(text) + "\n", "t");
        ASSERT_TRUE(config) << text << ": " << config.error().message;
        EXPECT_EQ(config->daemon.object, text);
    }
}

TEST_F(SavedPolicy, KeepsTheWordLocal) {
    Config config;
    ServiceConfig& web = add(config, "web", {80, 443});
    web.local = true;
    ServiceConfig& other = add(config, "other", {80});
    other.addresses = {*Address::parse("192.0.2.9")};
    ServiceConfig& both = add(config, "both", {25});
    both.local = true;
    both.addresses = {*Address::parse("203.0.113.1")};
    const std::string text = there_and_back(config);
    EXPECT_THAT(text, HasSubstr("port = [80, 443]\naddress = \"local\"\n"));
    EXPECT_THAT(text, HasSubstr("port = 80\naddress = \"192.0.2.9\"\n"));
    EXPECT_THAT(text, HasSubstr("port = 25\naddress = [\"local\", \"203.0.113.1\"]\n"));
}

TEST_F(SavedPolicy, KeepsTheWordLocalWhereNothingIsLocalYet) {
    local_.prefixes.clear();
    Config config;
    add(config, "web", {80, 443}).local = true;
    EXPECT_THAT(there_and_back(config), HasSubstr("port = [80, 443]\naddress = \"local\"\n"));
}

// `auto` of another kernel may be something else: what was asked for is kept.
TEST_F(SavedPolicy, NamesADeliveryThatAutoWouldNotChoose) {
    Config config;
    add(config, "web", {80}).settings.delivery = SW_DELIVERY_KERNEL;
    add(config, "mail", {25}).settings.delivery = SW_DELIVERY_REQSK;
    const std::string text = there_and_back(config);
    EXPECT_THAT(text, HasSubstr("delivery = \"kernel\""));
    EXPECT_THAT(text, Not(HasSubstr("reqsk")));
}

TEST_F(SavedPolicy, OfNoPolicyNamesTheInterface) {
    EXPECT_EQ(saved(CompiledPolicy{}), "[daemon]\ninterfaces = [\"eth0\"]\n");
}

TEST_F(SavedPolicy, DifferencesAreNamed) {
    Config config;
    add(config, "web", {80});
    add(config, "mail", {25});
    const CompiledPolicy before = compiled(config);
    config.services[0].settings.mode = SW_MODE_COOKIE;
    config.services[1].name = "smtp";
    config.limits.reply_rate = 9;
    EXPECT_THAT(differences(before, compiled(config, &before)),
                testing::UnorderedElementsAre("web", "mail", "smtp", "limits"));
    EXPECT_THAT(differences(before, before), IsEmpty());
}

class RandomConfigs : public SavedPolicy {
  protected:
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    bool chance(unsigned in) { return below(in) == 0; }
    // As people write them, and as nobody does.
    std::uint32_t number(std::uint32_t least, std::uint32_t most) {
        const double logarithm = std::uniform_real_distribution<>(std::log(least), std::log(most))(random_);
        auto value = static_cast<std::uint32_t>(std::exp(logarithm));
        for (std::uint32_t step = 10; chance(2) && step < value; step *= 10) value = value / step * step;
        return std::clamp(value, least, most);
    }
    template <typename T>
    T one_of(std::initializer_list<T> values) {
        return *(values.begin() + below(static_cast<std::uint32_t>(values.size())));
    }
    sw_action action() { return one_of({SW_ACTION_PASS, SW_ACTION_DROP, SW_ACTION_ESCALATE}); }

    void draw_settings(Settings& s) {
        s.mode = one_of({SW_MODE_OFF, SW_MODE_MONITOR, SW_MODE_AUTO, SW_MODE_COOKIE});
        s.delivery = one_of({SW_DELIVERY_AUTO, SW_DELIVERY_KERNEL, SW_DELIVERY_SYNPROXY});
        s.stray = action();
        s.fragment = action();
        s.malformed = action();
        s.odd_syn = action();
        if (chance(2)) s.escalate_rate = number(1, 10'000'000);
        s.escalate_default = one_of({SW_ACTION_PASS, SW_ACTION_DROP});
        if (chance(2)) s.arm_rate = number(1, 100'000'000);
        if (chance(3)) s.disarm_rate = number(1, s.arm_rate);
        if (chance(2)) s.hold = std::chrono::milliseconds(number(100, 86'400'000));
        if (chance(3)) s.mss = static_cast<std::uint16_t>(number(256, 65495));
        if (chance(3)) s.wscale = static_cast<std::uint8_t>(below(15));
        if (chance(3)) s.sack = chance(2);
        if (chance(3)) s.timestamps = chance(2);
        if (chance(3)) s.ecn = chance(2);
    }

    void draw_host() {
        host_.hz = one_of({100u, 250u, 300u, 1000u});
        host_.cpus = number(1, 256);
        host_.reqsk = chance(2);
        interface_.rx_queues = number(1, 64);
        interface_.mtu = one_of({576u, 1280u, 1500u, 9000u, 65535u});
        Sysctls& sys = host_.sysctls;
        sys = Sysctls{};
        sys.tcp_timestamps = static_cast<int>(below(3));
        sys.tcp_sack = !chance(4);
        sys.tcp_window_scaling = !chance(4);
        sys.tcp_ecn = static_cast<int>(below(3));
        sys.tcp_rmem_max = number(4096, 1 << 30);
    }

    Config draw() {
        Config config;
        if (chance(3)) config.daemon.gateway = chance(2);
        if (chance(2)) config.limits.reply_rate = number(1, UINT32_MAX);
        if (chance(2)) config.limits.prefix_rate = number(1, UINT32_MAX);
        if (chance(2)) draw_settings(config.defaults);
        std::set<std::uint16_t> used;
        for (unsigned i = below(6); i; i--) {
            std::vector<std::uint16_t> ports;
            for (unsigned n = 1 + below(4); n; n--)
                if (const auto port = static_cast<std::uint16_t>(1 + below(65535)); used.insert(port).second)
                    ports.push_back(port);
            if (ports.empty()) continue;
            ServiceConfig& service = add(config, "service-" + std::to_string(i), ports);
            draw_settings(service.settings);
            service.local = chance(3);
            if (chance(2))
                service.addresses = {*Address::parse("203.0.113.7"), *Address::parse("2001:db8:7::7")};
        }
        return config;
    }

    std::mt19937 random_{20261120};
};

TEST_F(RandomConfigs, ComeBackAsTheSamePolicy) {
    for (int i = 0; i < 500 && !HasFailure(); i++) {
        SCOPED_TRACE(i);
        draw_host();
        there_and_back(draw());
    }
}

}  // namespace
}  // namespace synward
