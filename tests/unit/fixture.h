// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/host.h"
#include "lib/instance.h"
#include "lib/policy.h"
#include "namespace.h"

namespace synward {

// synward on "here", in a namespace of the test's own.
class InstanceTest : public testing::Test {
  protected:
    // The result's value, or a failure of the test and an exception that ends it.
    template <typename T>
    static T must(Result<T> result) {
        if (!result) throw std::runtime_error(result.error().message);
        if constexpr (!std::is_void_v<T>) return std::move(*result);
    }

    Instance open() { return must(Instance::open(space_.here(), options())); }
    Instance find() { return must(Instance::find(space_.here())); }
    static LoadOptions options() { return {.object = SYNWARD_BPF_OBJECT, .flows = 1024}; }

    ServiceConfig& add(const std::string& name, std::vector<std::uint16_t> ports,
                       sw_mode mode = SW_MODE_AUTO) {
        config_.services.push_back({.name = name, .ports = std::move(ports)});
        config_.services.back().settings.mode = mode;
        return config_.services.back();
    }
    CompiledPolicy compiled(const CompiledPolicy* previous = nullptr) {
        return must(compile_policy(config_, read_host("here"), space_.here(), previous));
    }
    // As the daemon does on a reload.
    void apply(Instance& instance) {
        const CompiledPolicy previous = must(instance.read_policy());
        const CompiledPolicy policy = compiled(&previous);
        must(instance.apply(policy));
        must(must(instance.sources()).replace(policy.sources));
    }

    TestNamespace space_;
    Config config_;
};

}  // namespace synward
