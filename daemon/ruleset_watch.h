// SPDX-License-Identifier: GPL-2.0-or-later
// Says when somebody changed the ruleset of nftables.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/event_loop.h"
#include "lib/descriptor.h"
#include "lib/result.h"

struct nlmsghdr;

namespace synward {

class RulesetWatch {
  public:
    // `who`: the program that did it last, "nft (pid 123)"; empty if the kernel did not
    // say. Several changes in a row are told once. The loop must outlive the watch.
    using Changed = std::function<void(const std::string& who)>;
    [[nodiscard]] static Result<std::unique_ptr<RulesetWatch>> create(EventLoop& loop, Changed changed);
    RulesetWatch(const RulesetWatch&) = delete;
    RulesetWatch& operator=(const RulesetWatch&) = delete;
    ~RulesetWatch();

  private:
    RulesetWatch(EventLoop& loop, Descriptor fd, Changed changed)
        : loop_(loop), fd_(std::move(fd)), changed_(std::move(changed)), buffer_(65536) {}
    void drain();
    void take(const nlmsghdr* message);

    EventLoop& loop_;
    Descriptor fd_;
    Changed changed_;
    std::vector<char> buffer_;
    std::string who_;
    EventLoop::Watch watch_ = 0;
};

}  // namespace synward
