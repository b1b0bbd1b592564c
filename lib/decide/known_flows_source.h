// SPDX-License-Identifier: GPL-2.0-or-later
// Fills KnownFlows from the kernel: its TCP sockets (NETLINK_SOCK_DIAG), the
// entries of conntrack, and what conntrack reports afterwards (ctnetlink).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/decide/known_flows.h"
#include "lib/result.h"

namespace synward {

// Of the network namespace in which it was created. Move-only; one thread, the
// one that writes the KnownFlows. refresh() takes about 1 ms for each thousand
// connections; call it two or three times in DecideConfig::known_flows_age.
class KnownFlowsSource {
  public:
    struct Options {
        bool sockets = true;
        bool conntrack = true;   // asking loads nf_conntrack_netlink where the kernel may load modules
        bool ended = false;      // the same socket also tells which connections conntrack forgot
        int receive_buffer = 0;  // of that socket, in bytes; 0: the kernel's default
    };
    struct Counts {
        std::size_t sockets = 0;
        std::size_t conntrack = 0;     // entries, each with both directions
        bool conntrack_there = false;  // the kernel has ctnetlink
    };

    // Needs CAP_NET_ADMIN for conntrack; without it only sockets are read, unless
    // they are not wanted (code `privilege`).
    [[nodiscard]] static Result<KnownFlowsSource> create(const Options& options);
    KnownFlowsSource(KnownFlowsSource&&) noexcept;
    KnownFlowsSource& operator=(KnownFlowsSource&&) noexcept;
    ~KnownFlowsSource();

    // Reads everything into a new generation of `flows`. On failure the filter
    // stays as trusted as it was: no flow that it knew is forgotten.
    [[nodiscard]] Result<Counts> refresh(KnownFlows& flows, std::uint64_t now);

    // Readable when conntrack reports; -1: it does not. Owned by the source.
    [[nodiscard]] int fd() const;
    // Adds what conntrack reported; does not wait. `lost` reports say that one
    // should refresh() now.
    struct Reported {
        std::size_t flows = 0;
        bool lost = false;
    };
    // With Options::ended, appends both directions of each TCP connection that ended.
    [[nodiscard]] Result<Reported> consume(KnownFlows& flows, std::vector<FlowTuple>* ended = nullptr);
    // The same without the option `conntrack`: nobody wants to know the others.
    [[nodiscard]] Result<Reported> consume(std::vector<FlowTuple>& ended);

    // Whatever TCP connections there are, half-open ones too, as parts of both directions: the
    // kernel's sockets and conntrack's entries. Some may come twice.
    using Take = std::function<void(std::span<const FlowTuple>)>;
    [[nodiscard]] Result<void> list(const Take& take);

  private:
    struct Impl;
    Result<Reported> consume(KnownFlows* flows, std::vector<FlowTuple>* ended);
    explicit KnownFlowsSource(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward
